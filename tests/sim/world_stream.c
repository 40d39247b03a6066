/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "world_stream.h"

#include <stdlib.h>
#include <string.h>

#define DELAY_MS 3000

struct chunk {
    struct chunk *next;
    sh_ms at;
    size_t n;
    bool end; /* the stream ends here */
    uint8_t bytes[];
};

struct stream {
    struct sh_stream base;
    struct wire *wire;
    struct stream *peer;
    sh_ms latency, last_at;
    struct chunk *head, **tail; /* on the way from here to the peer */
    size_t pending;
    bool closed, was_high;
    size_t passes; /* 0: all sizes */
    bool stuck;
};

static void queue(struct stream *stream, struct sh_bytes bytes, sh_ms delay, bool end)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + bytes.n);
    if (!chunk)
        abort();
    *chunk = (struct chunk){.n = bytes.n, .end = end};
    if (bytes.n)
        memcpy(chunk->bytes, bytes.p, bytes.n);
    chunk->at = SH_MAX(stream->wire->now + stream->latency + delay, stream->last_at);
    stream->last_at = chunk->at;
    *stream->tail = chunk;
    stream->tail = &chunk->next;
    stream->pending += bytes.n;
    stream->was_high = stream->was_high || stream->pending >= SH_STREAM_LOW;
}

static void bend(struct stream *stream, struct sh_bytes bytes)
{
    uint8_t *copy = malloc(bytes.n + 1);
    if (!copy)
        abort();
    memcpy(copy, bytes.p, bytes.n);
    uint64_t bit = (stream->wire->seed * 2654435761U + 12345) % (bytes.n * 8);
    copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    queue(stream, SH_BYTES(copy, bytes.n), 0, false);
    free(copy);
}

static void cut(struct stream *stream, struct sh_bytes bytes)
{
    queue(stream, SH_BYTES(bytes.p, bytes.n / 2), 0, false);
    queue(stream, (struct sh_bytes){0}, 0, true);
    if (stream->peer && !stream->peer->closed)
        queue(stream->peer, (struct sh_bytes){0}, 0, true);
}

/* What goes into a hole is neither on its way nor away. */
static bool is_swallowed(struct stream *stream)
{
    struct wire *wire = stream->wire;
    if (wire->hole != HOLE_NONE && wire->hole_at == 0 && wire->steps == wire->hole_step) {
        wire->hole_at = wire->now;
        wire->holed = stream;
    }
    if (wire->hole_at == 0)
        return false;
    return wire->hole == HOLE_ALL || wire->holed == stream ||
           (wire->hole == HOLE_STREAM && wire->holed == stream->peer);
}

static void stream_send(struct sh_stream *base, struct sh_bytes bytes)
{
    struct stream *stream = (struct stream *)base;
    struct wire *wire = stream->wire;
    if (stream->closed || bytes.n == 0)
        return;
    stream->stuck = stream->stuck || (stream->passes > 0 && bytes.n > stream->passes);
    bool here = wire->fault != FAULT_NONE && wire->steps == wire->fault_step;
    bool swallowed = is_swallowed(stream) || stream->stuck;
    wire->steps++;
    if (swallowed) {
        stream->pending += bytes.n;
        stream->was_high = stream->was_high || stream->pending >= SH_STREAM_LOW;
        return;
    }
    switch (here ? wire->fault : FAULT_NONE) {
    case FAULT_LOSE:
        return;
    case FAULT_DOUBLE:
        queue(stream, bytes, 0, false);
        queue(stream, bytes, 0, false);
        return;
    case FAULT_DELAY:
        queue(stream, bytes, DELAY_MS, false);
        return;
    case FAULT_CUT:
        cut(stream, bytes);
        return;
    case FAULT_BEND:
        bend(stream, bytes);
        return;
    case FAULT_NONE:
    case FAULT_KINDS:
        queue(stream, bytes, 0, false);
        return;
    }
}

static size_t stream_pending(const struct sh_stream *base)
{
    return ((const struct stream *)base)->pending;
}

static void stream_close(struct sh_stream *base)
{
    struct stream *stream = (struct stream *)base;
    if (stream->closed)
        return;
    stream->closed = true;
    const struct wire *wire = stream->wire;
    bool unheard = stream->stuck || (wire->hole_at != 0 && is_swallowed(stream));
    if (!unheard)
        queue(stream, (struct sh_bytes){0}, 0, true);
}

static const struct sh_stream_driver driver = {
    .send = stream_send, .pending = stream_pending, .close = stream_close};

void wire_init(struct wire *wire)
{
    wire->now = 1000000;
}

void wire_set_fault(struct wire *wire, enum fault_kind fault, unsigned step, uint64_t seed)
{
    wire->steps = 0;
    wire->fault = fault;
    wire->fault_step = step;
    wire->seed = seed;
    wire->hole = HOLE_NONE;
    wire->hole_at = 0;
    wire->holed = NULL;
}

void wire_set_hole(struct wire *wire, enum hole_kind kind, unsigned step)
{
    wire->hole = kind;
    wire->hole_step = step;
}

static struct stream *new_end(struct wire *wire, sh_ms latency)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream || wire->count == STREAMS_MAX)
        abort();
    stream->base.driver = &driver;
    stream->wire = wire;
    stream->latency = latency;
    stream->tail = &stream->head;
    wire->streams[wire->count++] = stream;
    return stream;
}

void wire_pair(struct wire *wire, sh_ms latency, struct stream *ret_ends[2])
{
    ret_ends[0] = new_end(wire, latency);
    ret_ends[1] = new_end(wire, latency);
    ret_ends[0]->peer = ret_ends[1];
    ret_ends[1]->peer = ret_ends[0];
}

void wire_pass_small(struct stream *end, size_t octets)
{
    end->passes = octets;
}

void wire_end(struct stream *end)
{
    queue(end, (struct sh_bytes){0}, 0, true);
    queue(end->peer, (struct sh_bytes){0}, 0, true);
}

struct sh_stream *stream_base(struct stream *stream)
{
    return &stream->base;
}

sh_ms wire_next(const struct wire *wire)
{
    sh_ms next = SH_NEVER;
    for (unsigned i = 0; i < wire->count; i++) {
        if (wire->streams[i]->head)
            next = SH_MIN(next, wire->streams[i]->head->at);
    }
    return next;
}

/* Gives the first chunk of a stream to its peer. */
static void deliver_one(struct stream *stream)
{
    struct chunk *chunk = stream->head;
    struct stream *peer = stream->peer;
    stream->head = chunk->next;
    if (!stream->head)
        stream->tail = &stream->head;
    stream->pending -= chunk->n;
    if (!peer->closed && chunk->end) {
        peer->closed = true;
        peer->base.ops->closed(SH_CONNECT_LOST, peer->base.user);
    } else if (!peer->closed && chunk->n > 0) {
        peer->base.ops->rx(SH_BYTES(chunk->bytes, chunk->n), peer->base.user);
    }
    free(chunk);
    if (stream->was_high && !stream->closed && stream->pending < SH_STREAM_LOW) {
        stream->was_high = false;
        stream->base.ops->writable(stream->base.user);
    }
}

void wire_deliver(struct wire *wire)
{
    for (unsigned i = 0; i < wire->count; i++) {
        struct stream *stream = wire->streams[i];
        while (stream->head && stream->head->at <= wire->now)
            deliver_one(stream);
    }
}

void wire_clear(struct wire *wire)
{
    for (unsigned i = 0; i < wire->count; i++) {
        struct stream *stream = wire->streams[i];
        while (stream->head) {
            struct chunk *chunk = stream->head;
            stream->head = chunk->next;
            free(chunk);
        }
        free(stream);
    }
    wire->count = 0;
}

void wire_free(struct wire *wire)
{
    wire_clear(wire);
}
