/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A reliable stream of bytes between two devices, whatever carries it: L2CAP, TCP, the simulated air, a test's
 * memory. Edges implement the driver; who uses the stream sets ops. An interface only, no I/O here.
 */
#ifndef SIMHOP_PROTO_STREAM_H
#define SIMHOP_PROTO_STREAM_H

#include "proto/cause.h"

struct sh_stream;
struct sh_path_facts; /* transfer/path.h */

/* Called by the driver from the event loop, never from inside a driver function. */
struct sh_stream_ops {
    void (*rx)(struct sh_bytes bytes, void *user);
    /* Less than SH_STREAM_LOW octets wait to be sent (again). */
    void (*writable)(void *user);
    /* The stream is over: nothing more is called, and all that is left to do is to close it, here or later.
     * connect.lost: the other side ended or vanished. */
    void (*closed)(enum sh_cause cause, void *user);
};

/* Little, for an anchor has one such queue for each secondary; the carrier has its own behind it. */
#define SH_STREAM_LOW  (32 * 1024)
#define SH_STREAM_HIGH (32 * 1024) /* a well-behaved sender stops here until writable */
#define SH_STREAM_MOST                                                                             \
    (512 * 1024) /* and who makes us queue more than this by asking does not read */

struct sh_stream_driver {
    /* Queues all bytes. After close it does nothing. */
    void (*send)(struct sh_stream *stream, struct sh_bytes bytes);
    /* Octets queued and not yet taken by the carrier; at least SH_STREAM_HIGH as long as that wants none. */
    size_t (*pending)(const struct sh_stream *stream);
    /* Sends what is queued (for at most one second), then ends; ops are not called any more and the stream is
     * gone for the caller at once. */
    void (*close)(struct sh_stream *stream);
    /* What is known of its way, also after `closed`; may be NULL, and may leave them as they are. */
    void (*look)(const struct sh_stream *stream, struct sh_path_facts *facts);
};

/* Drivers embed this at the start of their own struct. */
struct sh_stream {
    const struct sh_stream_driver *driver;
    const struct sh_stream_ops *ops; /* set by the user right after it gets the stream */
    void *user;
};

static inline void sh_stream_send(struct sh_stream *stream, struct sh_bytes bytes)
{
    stream->driver->send(stream, bytes);
}

static inline size_t sh_stream_pending(const struct sh_stream *stream)
{
    return stream->driver->pending(stream);
}

/* NULL is fine. */
static inline void sh_stream_look(const struct sh_stream *stream, struct sh_path_facts *facts)
{
    if (stream && stream->driver->look)
        stream->driver->look(stream, facts);
}

/* NULL is fine. */
static inline void sh_stream_close(struct sh_stream *stream)
{
    if (stream)
        stream->driver->close(stream);
}

#endif
