"""MLM/1 frames in Python, written from the protocol's text alone.

It shares nothing with the TypeScript codec on purpose: where the two differ,
one of them is wrong. It knows bytes only, no sockets and no sessions.
"""

SIGNATURE = b"\xaa\xa8"

#: number: (name, fields); s = string, 2 and 4 = unsigned big-endian, * = content
COMMANDS = {
    1: ("CONNECTION OPEN", "protocol:s version:2 address:s"),
    2: ("CONNECTION PING", ""),
    3: ("CONNECTION PONG", ""),
    4: ("CONNECTION CLOSE", ""),
    5: ("STREAM WRITE", "stream:s"),
    6: ("STREAM READ", "stream:s pattern:s"),
    7: ("STREAM SEND", "subject:s content:*"),
    8: ("STREAM DELIVER", "address:s sender:s subject:s content:*"),
    9: ("MAILBOX SEND", "address:s subject:s tracker:s timeout:4 content:*"),
    10: ("MAILBOX DELIVER", "sender:s address:s subject:s tracker:s content:*"),
    11: ("SERVICE SEND", "address:s subject:s tracker:s timeout:4 content:*"),
    12: ("SERVICE OFFER", "address:s pattern:s"),
    13: ("SERVICE DELIVER", "sender:s address:s subject:s tracker:s content:*"),
    14: ("OK", "status_code:2 status_reason:s"),
    15: ("ERROR", "status_code:2 status_reason:s"),
    16: ("CREDIT", "amount:2"),
    17: ("CONFIRM", "tracker:s status_code:2 status_reason:s"),
    18: ("STREAM CANCEL", "stream:s"),
}
NUMBERS = {name: number for number, (name, _) in COMMANDS.items()}


def _fields(number):
    return [field.split(":") for field in COMMANDS[number][1].split()]


def encode(name, **values):
    """The frames of one command; `content` is a list of bytes."""
    number = NUMBERS[name]
    head = SIGNATURE + bytes([number])
    content = []
    for key, kind in _fields(number):
        value = values.pop(key)
        if kind == "*":
            content = list(value)
        elif kind == "s":
            octets = value.encode("utf-8")
            if len(octets) > 255:
                raise ValueError(f"{name}.{key} takes 255 octets, not {len(octets)}")
            head += bytes([len(octets)]) + octets
        else:
            head += value.to_bytes(int(kind), "big")
    if values:
        raise ValueError(f"{name} has no {', '.join(values)}")
    return [head, *content]


def decode(frames):
    """One command as a dict with `message` and its fields; strict: nothing may be left over."""
    head = frames[0]
    if head[:2] != SIGNATURE:
        raise ValueError(f"frame 0 begins with {head[:2].hex()}")
    number = head[2]
    command = {"message": COMMANDS[number][0]}
    at = 3
    has_content = False
    for key, kind in _fields(number):
        if kind == "*":
            has_content = True
            command[key] = list(frames[1:])
            continue
        length = int(kind) if kind != "s" else head[at]
        at += 0 if kind != "s" else 1
        octets = head[at : at + length]
        if len(octets) != length:
            raise ValueError(f"{command['message']}.{key} is cut short")
        command[key] = octets.decode("utf-8") if kind == "s" else int.from_bytes(octets, "big")
        at += length
    if at != len(head):
        raise ValueError(f"{command['message']} is followed by {head[at:].hex()}")
    if not has_content and len(frames) != 1:
        raise ValueError(f"{command['message']} came in {len(frames)} frames")
    return command
