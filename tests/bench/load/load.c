/*  The load generator of the benchmark: one process plays one role (writer,
    reader, worker, ...) with raw MLM/1 frames on plain libzmq, so that it costs
    as little as a client can and drives every MLM/1 broker alike. It prints one
    JSON object a line and must not judge: it counts, the harness compares.
    load.ts plays the same roles where there is no compiler; keep them alike.

        load ROLE --endpoint E [--name value ...]

    Every role: set up, print {"event":"ready"}, wait for a line on stdin, work,
    print {"event":"done", ...}. Times are CLOCK_MONOTONIC nanoseconds, the same
    clock in every process. A body begins with 'M', or with 'L' for the last
    message of a run, then the message's number (8 octets, big-endian).

    Senders keep at most --window messages unacknowledged; receivers acknowledge
    on a socket of their own (--acks), every tenth of the window.               */

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zmq.h>

enum {
    OPEN = 1, PING, PONG, CLOSE, STREAM_WRITE, STREAM_READ, STREAM_SEND, STREAM_DELIVER,
    MAILBOX_SEND, MAILBOX_DELIVER, SERVICE_SEND, SERVICE_OFFER, SERVICE_DELIVER, OK, ERROR
};

static const int64_t SECOND = 1000000000;
static const int PATIENCE_S = 10;       /* silence after which a role gives up */
static const int PING_EVERY_S = 2;

/*  --- options ------------------------------------------------------------ */

static struct {
    const char *role, *endpoint, *address, *target, *acks;
    long window, warmup, count, size, subjects, idle, sessions, batch;
    double seconds;
} option = {
    .address = "", .target = "load", .window = 10000, .warmup = 0, .count = 0, .size = 100,
    .subjects = 1, .idle = 0, .sessions = 1, .batch = 100, .seconds = 1
};

static void die (const char *format, ...)
{
    va_list list;
    va_start (list, format);
    fprintf (stderr, "load %s: ", option.role ? option.role : "");
    vfprintf (stderr, format, list);
    fprintf (stderr, "\n");
    va_end (list);
    exit (1);
}

static void parse (int argc, char **argv)
{
    if (argc < 2)
        die ("usage: load ROLE --endpoint E [--name value ...]");
    option.role = argv [1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv [i], *value = argv [i + 1];
        if (!strcmp (name, "--endpoint")) option.endpoint = value;
        else if (!strcmp (name, "--address")) option.address = value;
        else if (!strcmp (name, "--target")) option.target = value;
        else if (!strcmp (name, "--acks")) option.acks = value;
        else if (!strcmp (name, "--window")) option.window = atol (value);
        else if (!strcmp (name, "--warmup")) option.warmup = atol (value);
        else if (!strcmp (name, "--count")) option.count = atol (value);
        else if (!strcmp (name, "--size")) option.size = atol (value);
        else if (!strcmp (name, "--subjects")) option.subjects = atol (value);
        else if (!strcmp (name, "--idle")) option.idle = atol (value);
        else if (!strcmp (name, "--sessions")) option.sessions = atol (value);
        else if (!strcmp (name, "--batch")) option.batch = atol (value);
        else if (!strcmp (name, "--seconds")) option.seconds = atof (value);
        else die ("no option %s", name);
    }
    if (!option.endpoint || option.size < 9)
        die ("--endpoint is needed, and --size of at least 9");
}

/*  --- clock, events ------------------------------------------------------- */

static int64_t now (void)
{
    struct timespec time;
    clock_gettime (CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static double cpu_ms (void)
{
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3
        + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/*  What a role did, as printed at its end.                                   */
static struct {
    long count, disordered;
    int64_t first, last;
    bool stalled;
    double cpu_before;
} result;

static void event_done (const char *more)
{
    printf ("{\"event\":\"done\",\"count\":%ld,\"disordered\":%ld,\"stalled\":%s,"
            "\"firstNs\":%lld,\"lastNs\":%lld,\"cpuMs\":%.1f%s}\n",
            result.count, result.disordered, result.stalled ? "true" : "false",
            (long long) result.first, (long long) result.last,
            cpu_ms () - result.cpu_before, more);
    fflush (stdout);
}

/*  --- frames -------------------------------------------------------------- */

typedef struct {
    uint8_t bytes [1100];
    size_t size;
} frame_t;

static void put (frame_t *frame, const void *bytes, size_t size)
{
    memcpy (frame->bytes + frame->size, bytes, size);
    frame->size += size;
}

static void put_number (frame_t *frame, uint32_t value, int octets)
{
    while (octets--)
        frame->bytes [frame->size++] = (uint8_t) (value >> (8 * octets));
}

static void put_string (frame_t *frame, const char *text)
{
    size_t length = strlen (text);
    if (length > 255)
        die ("a string of %zu octets", length);
    put_number (frame, (uint32_t) length, 1);
    put (frame, text, length);
}

/*  A command whose fields are strings only.                                  */
static frame_t command (int number, int strings, ...)
{
    frame_t frame = { .size = 0 };
    put (&frame, "\xAA\xA8", 2);
    put_number (&frame, (uint32_t) number, 1);
    va_list list;
    va_start (list, strings);
    while (strings--)
        put_string (&frame, va_arg (list, const char *));
    va_end (list);
    return frame;
}

/*  MAILBOX SEND and SERVICE SEND: address, subject, tracker, timeout 0.       */
static frame_t command_send (int number, const char *address, const char *subject,
                             const char *tracker)
{
    frame_t frame = command (number, 3, address, subject, tracker);
    put_number (&frame, 0, 4);
    return frame;
}

/*  The body of message `number`; the caller owns the buffer of --size octets. */
static void write_body (uint8_t *body, long number, bool last)
{
    body [0] = last ? 'L' : 'M';
    for (int i = 0; i < 8; i++)
        body [1 + i] = (uint8_t) ((uint64_t) number >> (8 * (7 - i)));
}

static long body_number (const uint8_t *body)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | body [1 + i];
    return (long) number;
}

/*  --- sessions ------------------------------------------------------------ */

static void *context;
static void *kept [20000];              /* open sessions, pinged while they live */
static long kept_count;
static int64_t last_ping;

static void send_frame (void *socket, const frame_t *frame)
{
    if (zmq_send (socket, frame->bytes, frame->size, 0) < 0)
        die ("send: %s", zmq_strerror (errno));
}

static void send_message (void *socket, const frame_t *frame, const void *body)
{
    if (zmq_send (socket, frame->bytes, frame->size, ZMQ_SNDMORE) < 0
    ||  zmq_send (socket, body, (size_t) option.size, 0) < 0)
        die ("send: %s", zmq_strerror (errno));
}

/*  Any frame counts as a sign of life; a role that only listens must ping.    */
static void keep_alive (void)
{
    if (now () - last_ping < PING_EVERY_S * SECOND)
        return;
    last_ping = now ();
    frame_t ping = command (PING, 0);
    for (long i = 0; i < kept_count; i++)
        zmq_send (kept [i], ping.bytes, ping.size, ZMQ_DONTWAIT);
}

/*  A received command: frame 0 and, where it has content, the first body frame. */
typedef struct {
    zmq_msg_t header, body;
    int number;
} message_t;

static void message_init (message_t *message)
{
    zmq_msg_init (&message->header);
    zmq_msg_init (&message->body);
}

/*  Takes the next command that is not a PONG; false where none is there (with
    ZMQ_DONTWAIT) or none came within the socket's patience.                   */
static bool receive (void *socket, message_t *message, int flags)
{
    while (true) {
        if (zmq_msg_recv (&message->header, socket, flags) < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return false;
            die ("receive: %s", zmq_strerror (errno));
        }
        if (zmq_msg_more (&message->header))
            zmq_msg_recv (&message->body, socket, 0);
        const uint8_t *header = zmq_msg_data (&message->header);
        message->number = zmq_msg_size (&message->header) >= 3 ? header [2] : 0;
        if (message->number == ERROR)
            die ("the broker answered ERROR %d", header [3] << 8 | header [4]);
        if (message->number != PONG)
            return true;
    }
}

/*  The string field at index `field` of a header whose fields are strings.     */
static void read_string (message_t *message, int field, char *text)
{
    const uint8_t *at = (const uint8_t *) zmq_msg_data (&message->header) + 3;
    while (field--)
        at += 1 + *at;
    memcpy (text, at + 1, *at);
    text [*at] = 0;
}

static void set_int (void *socket, int name, int value)
{
    if (zmq_setsockopt (socket, name, &value, sizeof value))
        die ("setsockopt: %s", zmq_strerror (errno));
}

static void *connect_socket (int type, const char *endpoint)
{
    void *socket = zmq_socket (context, type);
    set_int (socket, ZMQ_RCVTIMEO, PATIENCE_S * 1000);
    set_int (socket, ZMQ_SNDTIMEO, PATIENCE_S * 1000);
    set_int (socket, ZMQ_LINGER, PATIENCE_S * 1000);
    set_int (socket, ZMQ_RECONNECT_IVL, 1);     /* ms: the other side may bind later */
    if (zmq_connect (socket, endpoint))
        die ("connect to %s: %s", endpoint, zmq_strerror (errno));
    return socket;
}

/*  Sends a command that is answered by OK, and waits for the answer.           */
static void call (void *socket, frame_t frame)
{
    message_t reply;
    message_init (&reply);
    send_frame (socket, &frame);
    if (!receive (socket, &reply, 0) || reply.number != OK)
        die ("no OK to command %d", frame.bytes [2]);
}

static frame_t open_command (const char *address)
{
    frame_t frame = command (OPEN, 1, "MALAMUTE");
    put_number (&frame, 1, 2);
    put_string (&frame, address);
    return frame;
}

static void *open_session (const char *address)
{
    void *socket = connect_socket (ZMQ_DEALER, option.endpoint);
    call (socket, open_command (address));
    kept [kept_count++] = socket;
    return socket;
}

static void close_sessions (void)
{
    frame_t close = command (CLOSE, 0);
    for (long i = 0; i < kept_count; i++) {
        zmq_send (kept [i], close.bytes, close.size, ZMQ_DONTWAIT);
        zmq_close (kept [i]);
    }
    kept_count = 0;
}

/*  Waits for a line of stdin, pinging meanwhile; false at stdin's end.          */
static bool wait_for_line (void)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    while (poll (&input, 1, 1000) == 0)
        keep_alive ();
    char line [80];
    return fgets (line, sizeof line, stdin) != NULL;
}

static void ready (void)
{
    printf ("{\"event\":\"ready\"}\n");
    fflush (stdout);
    if (!wait_for_line ())
        exit (1);               /* the harness gave up */
    result.cpu_before = cpu_ms ();
}

/*  --- sending within a window --------------------------------------------- */

static void *acks;
static long acknowledged;

/*  Reads acknowledgements until `least` is reached; 0 reads what is there.      */
static bool wait_for_acks (long least)
{
    do {
        uint64_t total;
        int flags = acknowledged >= least ? ZMQ_DONTWAIT : 0;
        if (zmq_recv (acks, &total, sizeof total, flags) < 0)
            return acknowledged >= least;
        if ((long) total > acknowledged)
            acknowledged = (long) total;
    } while (true);
}

static void send_next (void *socket, frame_t *headers, long header_count, bool last)
{
    uint8_t body [option.size];
    memset (body, 'x', sizeof body);
    write_body (body, result.count, last);
    send_message (socket, &headers [result.count % header_count], body);
    result.count++;
}

/*  Sends for --seconds (or --count messages) and waits until all have arrived.
    Before the clock starts, --warmup messages are sent and acknowledged (whole
    tenths of the window, since receivers acknowledge those).                    */
static void send_within_window (void *socket, frame_t *headers, long header_count)
{
    acks = zmq_socket (context, ZMQ_PULL);
    if (zmq_bind (acks, option.acks))
        die ("bind %s: %s", option.acks, zmq_strerror (errno));
    set_int (acks, ZMQ_RCVTIMEO, PATIENCE_S * 1000);
    ready ();

    int64_t begin = now ();
    while (result.count < option.warmup)
        send_next (socket, headers, header_count, false);
    result.stalled = !wait_for_acks (option.warmup);
    result.first = now ();
    int64_t deadline = result.first + (int64_t) (option.seconds * 1e9);
    for (bool last = false; !last && !result.stalled; ) {
        if (result.count - acknowledged >= option.window)
            result.stalled = !wait_for_acks (result.count - option.window + 1);
        if (option.count)
            last = result.count + 1 == option.count;
        else
            last = result.count % 16 == 15 && now () > deadline;
        send_next (socket, headers, header_count, last);
    }
    result.stalled = !wait_for_acks (result.count) || result.stalled;
    result.last = now ();
    char more [40];
    snprintf (more, sizeof more, ",\"warmupNs\":%lld", (long long) (result.first - begin));
    event_done (more);
}

static void role_write (void)
{
    void *socket = open_session (option.address);
    call (socket, command (STREAM_WRITE, 1, option.target));
    frame_t *headers = calloc ((size_t) option.subjects, sizeof *headers);
    for (long i = 0; i < option.subjects; i++) {
        char subject [40];
        snprintf (subject, sizeof subject, "load.%ld", i);
        headers [i] = command (STREAM_SEND, 1, subject);
    }
    send_within_window (socket, headers, option.subjects);
}

static void role_send (void)
{
    void *socket = open_session (option.address);
    frame_t header = command_send (MAILBOX_SEND, option.target, "load", "");
    send_within_window (socket, &header, 1);
}

/*  --- receiving ------------------------------------------------------------ */

/*  One session's progress.                                                     */
typedef struct {
    void *socket;
    long received;
    bool finished;
} receiver_t;

static void take (receiver_t *receiver, message_t *message)
{
    const uint8_t *body = zmq_msg_data (&message->body);
    if (zmq_msg_size (&message->body) != (size_t) option.size)
        die ("a body of %zu octets", zmq_msg_size (&message->body));
    if (body_number (body) != receiver->received)
        result.disordered++;
    receiver->received++;
    receiver->finished = body [0] == 'L';
}

static long slowest (const receiver_t *receivers, long count)
{
    long least = receivers [0].received;
    for (long i = 1; i < count; i++)
        if (receivers [i].received < least)
            least = receivers [i].received;
    return least;
}

/*  Takes all that has arrived at each session; returns how many.               */
static long sweep (receiver_t *receivers, long count, message_t *message)
{
    long taken = 0;
    for (long i = 0; i < count; i++)
        for (int n = 0; n < 1000 && receive (receivers [i].socket, message, ZMQ_DONTWAIT); n++)
            if (message->number != OK) {
                take (&receivers [i], message);
                taken++;
            }
    return taken;
}

/*  Sleeps until something has arrived, a second at most.                       */
static void rest (receiver_t *receivers, long count)
{
    zmq_pollitem_t items [count];
    for (long i = 0; i < count; i++)
        items [i] = (zmq_pollitem_t) { .socket = receivers [i].socket, .events = ZMQ_POLLIN };
    zmq_poll (items, (int) count, 1000);
}

static bool all_finished (const receiver_t *receivers, long count)
{
    for (long i = 0; i < count; i++)
        if (!receivers [i].finished)
            return false;
    return true;
}

static void receive_until_last (receiver_t *receivers, long count)
{
    void *sender = connect_socket (ZMQ_PUSH, option.acks);
    long told = 0, step = option.window / 10 ? option.window / 10 : 1;
    message_t message;
    message_init (&message);
    ready ();
    int64_t heard = now ();
    while (!all_finished (receivers, count)) {
        long taken = sweep (receivers, count, &message);
        result.count += taken;
        int64_t time = now ();
        if (taken) {
            heard = time;
            if (!result.first)
                result.first = time;
        }
        else if (time - heard > PATIENCE_S * SECOND) {
            result.stalled = true;
            break;
        }
        long least = slowest (receivers, count);
        if (least - told >= step || all_finished (receivers, count)) {
            uint64_t total = (uint64_t) (told = least);
            zmq_send (sender, &total, sizeof total, 0);
        }
        keep_alive ();
        if (!taken)
            rest (receivers, count);
    }
    result.last = now ();
    event_done ("");
    zmq_close (sender);
}

static void role_read (void)
{
    receiver_t *receivers = calloc ((size_t) option.sessions, sizeof *receivers);
    for (long i = 0; i < option.sessions; i++) {
        char address [300];
        snprintf (address, sizeof address, "%s.%ld", option.address, i);
        receivers [i].socket = open_session (address);
        call (receivers [i].socket, command (STREAM_READ, 2, option.target, "^load"));
    }
    /*  Subscriptions that never match, a thousand to a session.                */
    void *socket = NULL;
    for (long i = 0; i < option.idle; i++) {
        char pattern [40];
        if (i % 1000 == 0)
            socket = open_session ("");
        snprintf (pattern, sizeof pattern, "^idle%ld.[a-z]+$", i);
        call (socket, command (STREAM_READ, 2, option.target, pattern));
    }
    receive_until_last (receivers, option.sessions);
}

static void role_receive (void)
{
    receiver_t receiver = { .socket = open_session (option.address) };
    receive_until_last (&receiver, 1);
}

/*  --- services, ping-pong --------------------------------------------------- */

/*  Keeps --window requests in flight; the replies come as mail.                 */
static void role_request (void)
{
    receiver_t replies = { .socket = open_session (option.address) };
    frame_t header = command_send (SERVICE_SEND, option.target, "load", "");
    uint8_t body [option.size];
    memset (body, 'x', sizeof body);
    message_t message;
    message_init (&message);
    ready ();

    long sent = 0;
    bool last = false;
    result.first = now ();
    int64_t deadline = result.first + (int64_t) (option.seconds * 1e9);
    while (!replies.finished) {
        while (!last && sent - replies.received < option.window) {
            last = sent % 16 == 15 && now () > deadline;
            write_body (body, sent++, last);
            send_message (replies.socket, &header, body);
        }
        if (!receive (replies.socket, &message, 0)) {
            result.stalled = true;
            break;
        }
        take (&replies, &message);
    }
    result.last = now ();
    result.count = replies.received;
    char more [40];
    snprintf (more, sizeof more, ",\"sent\":%ld", sent);
    event_done (more);
}

/*  Answers every message with mail to its sender, until the last one.           */
static void echo (void *socket)
{
    message_t message;
    message_init (&message);
    char sender [256], tracker [256];
    for (bool last = false; !last; result.count++) {
        if (!receive (socket, &message, 0)) {
            result.stalled = true;
            break;
        }
        read_string (&message, 0, sender);
        read_string (&message, 3, tracker);
        const uint8_t *body = zmq_msg_data (&message.body);
        last = body [0] == 'L';
        frame_t header = command_send (MAILBOX_SEND, sender, "load", tracker);
        send_message (socket, &header, body);
    }
    event_done ("");
}

static void role_work (void)
{
    void *socket = open_session (option.address);
    call (socket, command (SERVICE_OFFER, 2, option.target, "^load"));
    ready ();
    echo (socket);
}

static void role_pong (void)
{
    void *socket = open_session (option.address);
    ready ();
    echo (socket);
}

static int by_value (const void *left, const void *right)
{
    int64_t a = *(const int64_t *) left, b = *(const int64_t *) right;
    return (a > b) - (a < b);
}

/*  One message at a time, there and back.                                       */
static void role_ping (void)
{
    receiver_t pongs = { .socket = open_session (option.address) };
    frame_t header = command_send (MAILBOX_SEND, option.target, "load", "");
    uint8_t body [option.size];
    memset (body, 'x', sizeof body);
    message_t message;
    message_init (&message);
    long room = 1 << 20;
    int64_t *times = calloc ((size_t) room, sizeof *times);
    ready ();

    result.first = now ();
    int64_t start = result.first, deadline = start + (int64_t) (option.seconds * 1e9);
    while (!pongs.finished) {
        write_body (body, pongs.received, start > deadline || pongs.received + 1 == room);
        send_message (pongs.socket, &header, body);
        if (!receive (pongs.socket, &message, 0)) {
            result.stalled = true;
            break;
        }
        take (&pongs, &message);
        int64_t end = now ();
        times [pongs.received - 1] = end - start;
        start = end;
    }
    result.last = start;
    result.count = pongs.received;
    qsort (times, (size_t) result.count, sizeof *times, by_value);
    char more [120];
    snprintf (more, sizeof more, ",\"p50Us\":%.1f,\"p99Us\":%.1f",
              (double) times [result.count / 2] / 1e3,
              (double) times [result.count * 99 / 100] / 1e3);
    event_done (more);
}

/*  --- memory ---------------------------------------------------------------- */

/*  Sends --count messages at full speed to whoever may or may not take them,
    then waits for a PONG: the broker has read them all. Stays connected.         */
static void flood (void *socket, frame_t header)
{
    uint8_t body [option.size];
    memset (body, 'x', sizeof body);
    ready ();
    result.first = now ();
    for (; result.count < option.count; result.count++) {
        write_body (body, result.count, result.count + 1 == option.count);
        send_message (socket, &header, body);
    }
    frame_t ping = command (PING, 0);
    send_frame (socket, &ping);
    zmq_msg_t pong;
    zmq_msg_init (&pong);
    result.stalled = zmq_msg_recv (&pong, socket, 0) < 0;
    result.last = now ();
    event_done ("");
    wait_for_line ();
}

static void role_flood_stream (void)
{
    void *socket = open_session (option.address);
    call (socket, command (STREAM_WRITE, 1, option.target));
    flood (socket, command (STREAM_SEND, 1, "load"));
}

static void role_flood_service (void)
{
    flood (open_session (option.address), command_send (SERVICE_SEND, option.target, "load", ""));
}

/*  Takes waiting requests, answering none, until the last one.                   */
static void role_drain (void)
{
    receiver_t receiver = { .socket = open_session (option.address) };
    ready ();
    frame_t offer = command (SERVICE_OFFER, 2, option.target, "^load");
    send_frame (receiver.socket, &offer);
    message_t message;
    message_init (&message);
    result.first = now ();
    while (!receiver.finished) {
        if (!receive (receiver.socket, &message, 0)) {
            result.stalled = true;
            break;
        }
        if (message.number != OK)
            take (&receiver, &message);
    }
    result.last = now ();
    result.count = receiver.received;
    event_done ("");
}

/*  Reads a stream without ever taking a message, but stays alive.                */
static void role_sleep (void)
{
    call (open_session (option.address), command (STREAM_READ, 2, option.target, ""));
    ready ();
    event_done ("");
    wait_for_line ();
}

/*  Connects and disconnects --count times, --batch at once; every tenth client
    vanishes without a CLOSE.                                                     */
static void role_churn (void)
{
    ready ();
    result.first = now ();
    void *batch [option.batch];
    frame_t close = command (CLOSE, 0);
    message_t reply;
    message_init (&reply);
    while (result.count < option.count) {
        for (long i = 0; i < option.batch; i++) {
            char address [40];
            snprintf (address, sizeof address, "churn.%ld", result.count + i);
            batch [i] = connect_socket (ZMQ_DEALER, option.endpoint);
            frame_t frame = open_command (address);
            send_frame (batch [i], &frame);
        }
        for (long i = 0; i < option.batch; i++) {
            if (!receive (batch [i], &reply, 0))
                die ("no OK to OPEN");
            if (i % 10)
                send_frame (batch [i], &close);
        }
        for (long i = 0; i < option.batch; i++) {
            if (i % 10 && !receive (batch [i], &reply, 0))
                die ("no OK to CLOSE");
            zmq_close (batch [i]);
        }
        result.count += option.batch;
    }
    result.last = now ();
    event_done ("");
}

/*  --- the generator's own limit ---------------------------------------------- */

/*  Stands in for a broker and a reader at once: answers OK, counts and
    acknowledges. What it counts is the most that a writer can send here.          */
static void role_sink (void)
{
    void *router = zmq_socket (context, ZMQ_ROUTER);
    if (zmq_bind (router, option.endpoint))
        die ("bind %s: %s", option.endpoint, zmq_strerror (errno));
    set_int (router, ZMQ_RCVTIMEO, PATIENCE_S * 1000);
    void *sender = connect_socket (ZMQ_PUSH, option.acks);
    long step = option.window / 10;
    frame_t ok = command (OK, 0);
    put_number (&ok, 200, 2);
    put_string (&ok, "");
    zmq_msg_t peer;
    zmq_msg_init (&peer);
    message_t message;
    message_init (&message);
    printf ("{\"event\":\"ready\"}\n");
    fflush (stdout);
    for (bool last = false; !last; ) {
        if (zmq_msg_recv (&peer, router, 0) < 0 || !receive (router, &message, 0)) {
            result.stalled = true;
            break;
        }
        if (message.number == OPEN || message.number == STREAM_WRITE) {
            zmq_msg_send (&peer, router, ZMQ_SNDMORE);
            send_frame (router, &ok);
        }
        if (message.number != STREAM_SEND)
            continue;
        last = *(uint8_t *) zmq_msg_data (&message.body) == 'L';
        uint64_t total = (uint64_t) ++result.count;
        if (last || result.count % step == 0)
            zmq_send (sender, &total, sizeof total, 0);
    }
    result.last = now ();
    event_done ("");
    zmq_close (router);
    zmq_close (sender);
}

/*  --- main ------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*play) (void);
} roles [] = {
    { "write", role_write }, { "read", role_read },
    { "send", role_send }, { "receive", role_receive },
    { "request", role_request }, { "work", role_work },
    { "ping", role_ping }, { "pong", role_pong },
    { "flood-stream", role_flood_stream }, { "flood-service", role_flood_service },
    { "drain", role_drain }, { "sleep", role_sleep }, { "churn", role_churn },
    { "sink", role_sink },
};

int main (int argc, char **argv)
{
    parse (argc, argv);
    context = zmq_ctx_new ();
    zmq_ctx_set (context, ZMQ_MAX_SOCKETS, 20000);
    last_ping = now ();
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (!strcmp (roles [i].name, option.role)) {
            roles [i].play ();
            close_sessions ();
            if (acks)
                zmq_close (acks);
            zmq_ctx_term (context);     /* waits until all is sent */
            return 0;
        }
    die ("no role of that name");
}
