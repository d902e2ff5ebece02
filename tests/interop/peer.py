"""A Malamute client in Python that speaks raw frames, driven line by line.

It takes one command a line from stdin, answers each with one line on stdout
and prints what the broker delivers when it comes; README.md in this folder
describes the lines. It plays any role that a test asks for and checks nothing
itself, but for `replay` and `vectors`, which compare what the broker, or this
peer's own codec, does with what was recorded.
"""

import json
import pathlib
import sys
import time

try:
    import zmq
except ImportError:
    sys.exit("tests/interop/peer.py needs ZeroMQ for Python: install the Debian package python3-zmq")

import replay
import wire

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
ANSWER_WAIT_MS = 30_000
HEARTBEAT_S = 1.0
DELIVERIES = {
    "STREAM DELIVER": "stream",
    "MAILBOX DELIVER": "mail",
    "SERVICE DELIVER": "request",
}


#: The command words that a line may begin with; each is a method of Peer.
WORDS = {
    *("open", "write", "read", "cancel", "offer", "send", "mail", "request"),
    *("confirm", "credit", "close", "replay", "vectors"),
}


class Refused(Exception):
    """What was asked could not be done; the text says why."""


class Peer:
    """One session with a broker; what it delivers is given to `deliver` as fields of a line."""

    def __init__(self, context, poller, deliver):
        self.context = context
        self.poller = poller
        self.deliver = deliver
        self.socket = None
        self.last_sent = 0.0

    # -- one method a command word; each gives the fields of its answer line

    def open(self, endpoint, address):
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)
        self.poller.register(self.socket, zmq.POLLIN)
        return self._command("CONNECTION OPEN", protocol="MALAMUTE", version=1, address=address)

    def write(self, stream):
        return self._command("STREAM WRITE", stream=stream)

    def read(self, stream, pattern):
        return self._command("STREAM READ", stream=stream, pattern=pattern)

    def cancel(self, stream):
        return self._command("STREAM CANCEL", stream=stream)

    def offer(self, service, pattern):
        return self._command("SERVICE OFFER", address=service, pattern=pattern)

    def send(self, subject, *frames):
        return self._send("STREAM SEND", subject=subject, content=_content(frames))

    def mail(self, address, subject, tracker, timeout, *frames):
        return self._send(
            "MAILBOX SEND",
            address=address,
            subject=subject,
            tracker=tracker,
            timeout=int(timeout),
            content=_content(frames),
        )

    def request(self, service, subject, tracker, timeout, *frames):
        return self._send(
            "SERVICE SEND",
            address=service,
            subject=subject,
            tracker=tracker,
            timeout=int(timeout),
            content=_content(frames),
        )

    def confirm(self, tracker, status_code, status_reason):
        return self._send(
            "CONFIRM",
            tracker=tracker,
            status_code=int(status_code),
            status_reason=status_reason,
        )

    def credit(self, amount):
        return self._send("CREDIT", amount=int(amount))

    def close(self):
        answer = self._command("CONNECTION CLOSE")
        self.poller.unregister(self.socket)
        self.socket.close()
        self.socket = None
        return answer

    def replay(self, endpoint, name):
        try:
            replay.replay(self.context, endpoint, _steps_for(name))
        except replay.Deviation as deviation:
            raise Refused(str(deviation)) from None
        return ["ok"]

    def vectors(self):
        for vector in json.loads((FIXTURES / "frames.json").read_text("utf-8")):
            _check_vector(vector)
        return ["ok"]

    # -- the socket

    def attend(self):
        """Hands on what has come in; pings where nothing was sent for a while."""
        while self.socket and self.socket.poll(0):
            event = self._event(self.socket.recv_multipart())
            if event:
                self.deliver(event)
        if self.socket and time.monotonic() - self.last_sent > HEARTBEAT_S:
            self._send("CONNECTION PING")

    def _send(self, name, **fields):
        if not self.socket:
            raise Refused("not open")
        self.socket.send_multipart(wire.encode(name, **fields))
        self.last_sent = time.monotonic()
        return ["ok"]

    def _command(self, name, **fields):
        """Sends a command that has an answer; deliveries that come first are handed on."""
        self._send(name, **fields)
        while self.socket.poll(ANSWER_WAIT_MS):
            event = self._event(self.socket.recv_multipart())
            if event is None:
                continue
            if event[0] == "ok":
                return event
            if event[0] == "refused":
                raise Refused(f"{event[1]} {event[2]}")
            self.deliver(event)
        raise Refused(f"no answer to {name}")

    @staticmethod
    def _event(frames):
        command = wire.decode(frames)
        kind = command["message"]
        if kind == "CONNECTION PONG":
            return None
        if kind in DELIVERIES:
            fields = [command["address"], command["sender"], command["subject"]]
            content = [frame.hex() for frame in command["content"]]
            return [DELIVERIES[kind], *fields, command.get("tracker", ""), *content]
        if kind == "CONFIRM":
            return ["confirm", command["tracker"], str(command["status_code"]), command["status_reason"]]
        if kind == "OK":
            return ["ok"]
        if kind == "ERROR":
            return ["refused", str(command["status_code"]), command["status_reason"]]
        raise ValueError(f"a broker sent {kind}")


def _content(frames):
    return [bytes.fromhex(frame) for frame in frames]


def _steps_for(name):
    """The steps that this project's broker must follow: its own where it differs on purpose."""
    for file in ("transcripts-ours.json", "transcripts.json"):
        for transcript in json.loads((FIXTURES / file).read_text("utf-8")):
            if transcript["name"] == name:
                return transcript["steps"]
    raise Refused(f"there is no transcript {name}")


def _check_vector(vector):
    fields = dict(vector["fields"])
    if "content" in fields:
        fields["content"] = _content(fields["content"])
    frames = _content(vector["frames"])
    if wire.encode(vector["message"], **fields) != frames:
        raise Refused(f"writes {vector['message']} {vector['fields']} differently")
    if wire.decode(frames) != {"message": vector["message"], **fields}:
        raise Refused(f"reads {vector['message']} {vector['fields']} differently")


def answer(peer, line):
    """Does what one line says; gives the fields of the answer line."""
    word, *arguments = line.split("\t")
    if word not in WORDS:
        return ["error", f"unknown command {word}"]
    try:
        return getattr(peer, word)(*arguments)
    except (Refused, ValueError, TypeError) as error:
        return ["error", str(error).replace("\n", " ")]


def say(fields):
    sys.stdout.buffer.write("\t".join(fields).encode("utf-8") + b"\n")
    sys.stdout.buffer.flush()


def main():
    context = zmq.Context()
    poller = zmq.Poller()
    # Unbuffered: a line held back in a buffer would not wake the poller.
    stdin = open(sys.stdin.fileno(), "rb", buffering=0)
    poller.register(stdin, zmq.POLLIN)
    peer = Peer(context, poller, say)
    pending = b""
    while True:
        ready = dict(poller.poll(HEARTBEAT_S * 1000))
        peer.attend()
        if stdin.fileno() not in ready:
            continue
        chunk = stdin.read(65536)
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            say(answer(peer, line.decode("utf-8")))
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
