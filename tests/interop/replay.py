"""Replays a recorded transcript against a broker and says where it differs.

Each client letter of a transcript is one DEALER socket. What came back must
have the recorded fields; only the text of status reasons is free. It decides
nothing about which transcripts apply: the caller chooses the steps.
"""

import time

import zmq

import wire

ANSWER_WAIT_MS = 30_000
#: What the transcripts were recorded with: nothing came within this time.
SILENCE_MS = 400


class Deviation(Exception):
    """The broker did something else than the transcript says."""


def replay(context, endpoint, steps):
    """Plays all steps in order; raises Deviation at the first difference."""
    sockets = {}
    try:
        for index, step in enumerate(steps):
            where = f"step {index}, client {step['client']}"
            socket = sockets.get(step["client"]) or _dealer(context, endpoint)
            sockets[step["client"]] = socket
            if "send" in step:
                socket.send_multipart([bytes.fromhex(frame) for frame in step["send"]])
            else:
                _expect(socket, step, where)
        time.sleep(SILENCE_MS / 1000)
        for letter, socket in sockets.items():
            if socket.poll(0):
                came = _describe(socket.recv_multipart())
                raise Deviation(f"after the last step, client {letter}: came {came}")
    finally:
        for socket in sockets.values():
            socket.close(linger=0)


def _dealer(context, endpoint):
    socket = context.socket(zmq.DEALER)
    socket.connect(endpoint)
    return socket


def _expect(socket, step, where):
    expected = step.get("decoded")
    if not socket.poll(ANSWER_WAIT_MS if expected else SILENCE_MS):
        if expected:
            raise Deviation(f"{where}: nothing came instead of {expected}")
        return
    frames = socket.recv_multipart()
    if not expected:
        raise Deviation(f"{where}: came {_describe(frames)} where nothing should come")
    _compare(frames, expected, step.get("reason_names", []), where)


def _compare(frames, expected, reason_names, where):
    try:
        came = wire.decode(frames)
    except (ValueError, KeyError, IndexError) as error:
        raise Deviation(f"{where}: came {_describe(frames)}, which does not parse: {error}") from None
    came["content"] = [frame.hex() for frame in came.get("content", [])]
    expected = {"content": [], **expected}
    reason = came.pop("status_reason", "")
    expected.pop("status_reason", None)
    if came != expected:
        raise Deviation(f"{where}: came {came}, not {expected}")
    for name in reason_names:
        if name not in reason:
            raise Deviation(f"{where}: the reason {reason!r} does not name {name!r}")


def _describe(frames):
    return [frame.hex() for frame in frames]
