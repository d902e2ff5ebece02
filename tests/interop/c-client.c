/*  A driver around the original Malamute client (libmlm), for interop tests.

    It takes one command a line from stdin, answers each with one line on
    stdout and prints what the broker delivers when it comes; README.md in
    this folder describes the lines. It uses the public API of <malamute.h>
    only, and checks nothing itself. */

#include <malamute.h>

enum { FIELDS_MAX = 1024, READ_MAX = 65536, CONNECT_TIMEOUT_MS = 5000 };

static mlm_client_t *client = NULL;
static zpoller_t *poller = NULL;

static void
say_status (int rc)
{
    if (rc >= 0)
        puts ("ok");
    else {
        const char *reason = mlm_client_reason (client);
        printf ("error\t%s\n", reason && *reason? reason: "failed");
    }
}

static void
say_delivery (void)
{
    zmsg_t *content = mlm_client_recv (client);
    if (!content)
        return;                 //  Interrupted
    const char *command = mlm_client_command (client);
    bool stream = streq (command, "STREAM DELIVER");
    const char *word = stream? "stream": streq (command, "MAILBOX DELIVER")? "mail": "request";
    printf ("%s\t%s\t%s\t%s\t%s", word,
        mlm_client_address (client), mlm_client_sender (client), mlm_client_subject (client),
        stream? "": mlm_client_tracker (client));
    for (zframe_t *frame = zmsg_first (content); frame; frame = zmsg_next (content)) {
        putchar ('\t');
        for (size_t at = 0; at < zframe_size (frame); at++)
            printf ("%02x", zframe_data (frame) [at]);
    }
    putchar ('\n');
    zmsg_destroy (&content);
}

/*  Frames from hex fields; the client's send methods take them over. */
static zmsg_t *
content_of (char **fields, int count)
{
    zmsg_t *content = zmsg_new ();
    for (int index = 0; index < count; index++) {
        size_t size = strlen (fields [index]) / 2;
        byte *data = (byte *) zmalloc (size + 1);
        for (size_t at = 0; at < size; at++) {
            unsigned int octet;
            sscanf (fields [index] + 2 * at, "%2x", &octet);
            data [at] = (byte) octet;
        }
        zmsg_addmem (content, data, size);
        free (data);
    }
    return content;
}

static void
do_open (const char *endpoint, const char *address)
{
    client = mlm_client_new ();
    assert (client);
    say_status (mlm_client_connect (client, endpoint, CONNECT_TIMEOUT_MS, address));
    zpoller_add (poller, mlm_client_msgpipe (client));
}

static void
do_close (void)
{
    zpoller_remove (poller, mlm_client_msgpipe (client));
    mlm_client_destroy (&client);
    puts ("ok");
}

/*  count is the number of fields, the command word among them. */
static void
do_command (char **field, int count)
{
    const char *word = field [0];
    if (streq (word, "open") && count == 3)
        do_open (field [1], field [2]);
    else
    if (!client)
        puts ("error\tnot open");
    else
    if (streq (word, "write") && count == 2)
        say_status (mlm_client_set_producer (client, field [1]));
    else
    if (streq (word, "read") && count == 3)
        say_status (mlm_client_set_consumer (client, field [1], field [2]));
    else
    if (streq (word, "cancel") && count == 2)
        say_status (mlm_client_remove_consumer (client, field [1]));
    else
    if (streq (word, "offer") && count == 3)
        say_status (mlm_client_set_worker (client, field [1], field [2]));
    else
    if (streq (word, "send") && count >= 2) {
        zmsg_t *content = content_of (field + 2, count - 2);
        say_status (mlm_client_send (client, field [1], &content));
    }
    else
    if (streq (word, "mail") && count >= 5) {
        zmsg_t *content = content_of (field + 5, count - 5);
        say_status (mlm_client_sendto (client, field [1], field [2], field [3],
            (uint32_t) atoi (field [4]), &content));
    }
    else
    if (streq (word, "request") && count >= 5) {
        zmsg_t *content = content_of (field + 5, count - 5);
        say_status (mlm_client_sendfor (client, field [1], field [2], field [3],
            (uint32_t) atoi (field [4]), &content));
    }
    else
    if (streq (word, "connected") && count == 1)
        puts (mlm_client_connected (client)? "ok\tyes": "ok\tno");
    else
    if (streq (word, "close") && count == 1)
        do_close ();
    else
        printf ("error\tunknown command %s with %d fields\n", word, count - 1);
}

/*  Does every complete line in the buffer; returns how many bytes those were. */
static size_t
do_lines (char *buffer, size_t size)
{
    char *line = buffer;
    char *end;
    while ((end = memchr (line, '\n', size - (line - buffer)))) {
        *end = 0;
        char *field [FIELDS_MAX] = { NULL };
        int count = 0;
        while (line && count < FIELDS_MAX)
            field [count++] = strsep (&line, "\t");
        do_command (field, count);
        line = end + 1;
    }
    return line - buffer;
}

int
main (void)
{
    setvbuf (stdout, NULL, _IOLBF, 0);
    zsys_set_logstream (stderr);
    int input = STDIN_FILENO;
    poller = zpoller_new (&input, NULL);
    char *buffer = NULL;
    size_t size = 0;
    while (true) {
        void *ready = zpoller_wait (poller, -1);
        if (!ready)
            break;              //  Interrupted
        if (ready != &input) {
            say_delivery ();
            continue;
        }
        buffer = (char *) realloc (buffer, size + READ_MAX);
        assert (buffer);
        ssize_t came = read (input, buffer + size, READ_MAX);
        if (came <= 0)
            break;
        size += came;
        size_t done = do_lines (buffer, size);
        memmove (buffer, buffer + done, size - done);
        size -= done;
    }
    free (buffer);
    zpoller_destroy (&poller);
    if (client)
        mlm_client_destroy (&client);
    return 0;
}
