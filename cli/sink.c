/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/clock.h"

#define PIECE 256 /* what a terminal that is ready takes for certain; a pipe takes more */

struct sh_sink {
    int fd;
    FILE *stream;
    char *bytes;
    size_t n, room;
    uint64_t lost;
    bool broken; /* the reader is gone */
};

static bool is_ready(const struct sh_sink *sink, int wait_ms)
{
    struct pollfd p = {.fd = sink->fd, .events = POLLOUT};
    /* waits: as long as was asked for: 0, or what is left of the limit of sh_sink_close */
    return poll(&p, 1, wait_ms) > 0;
}

void sh_sink_push(struct sh_sink *sink)
{
    size_t done = 0;
    while (done < sink->n && !sink->broken && is_ready(sink, 0)) {
        ssize_t put = write(sink->fd, sink->bytes + done, SH_MIN(sink->n - done, (size_t)PIECE));
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            break;
        sink->broken = put < 0;
        done += put > 0 ? (size_t)put : 0;
    }
    if (sink->broken)
        done = sink->n;
    if (done == 0)
        return;
    memmove(sink->bytes, sink->bytes + done, sink->n - done);
    sink->n -= done;
}

static bool make_room(struct sh_sink *sink, size_t size)
{
    size_t want = sink->n + size;
    if (want <= sink->room)
        return true;
    if (want > SH_SINK_MAX)
        return false;
    size_t room = SH_MIN(SH_MAX(2 * sink->room, SH_MAX(want, (size_t)4096)), (size_t)SH_SINK_MAX);
    char *bytes = realloc(sink->bytes, room);
    if (!bytes)
        return false;
    sink->bytes = bytes;
    sink->room = room;
    return true;
}

/* Says to the stream that all was taken, also where it was not: an error would stay with the stream for ever. */
static ssize_t on_write(void *cookie, const char *bytes, size_t size)
{
    struct sh_sink *sink = cookie;
    if (sink->broken)
        return (ssize_t)size;
    sh_sink_push(sink);
    if (!make_room(sink, size)) {
        sink->lost += size;
        return (ssize_t)size;
    }
    memcpy(sink->bytes + sink->n, bytes, size);
    sink->n += size;
    sh_sink_push(sink);
    return (ssize_t)size;
}

struct sh_sink *sh_sink_new(int fd)
{
    struct sh_sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return NULL;
    sink->fd = fd;
    sink->stream = fopencookie(sink, "w", (cookie_io_functions_t){.write = on_write});
    if (!sink->stream) {
        free(sink);
        return NULL;
    }
    /* A whole line at a time, so that what is lost is whole lines; the longest are those of `done`. */
    setvbuf(sink->stream, NULL, _IOFBF, (size_t)1 << 16);
    return sink;
}

FILE *sh_sink_stream(struct sh_sink *sink)
{
    return sink->stream;
}

size_t sh_sink_waiting(const struct sh_sink *sink)
{
    return sink->n;
}

uint64_t sh_sink_lost(const struct sh_sink *sink)
{
    return sink->lost;
}

void sh_sink_close(struct sh_sink *sink, sh_ms limit)
{
    if (!sink)
        return;
    sh_ms until = sh_now() + limit;
    fclose(sink->stream);
    for (sh_ms now = sh_now(); sink->n > 0 && now < until; now = sh_now()) {
        if (is_ready(sink, (int)(until - now)))
            sh_sink_push(sink);
    }
    free(sink->bytes);
    free(sink);
}
