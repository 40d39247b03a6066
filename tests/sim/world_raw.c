/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hand-made peer: what it sends is up to the test. */
#include <stdlib.h>
#include <string.h>

#include "world_internal.h"

struct raw_peer {
    struct world *world;
    struct raw *raw;
    struct stream *end;
};

static void raw_rx(struct sh_bytes bytes, void *user)
{
    struct raw *raw = ((struct raw_peer *)user)->raw;
    size_t n = SH_MIN(bytes.n, sizeof(raw->got) - raw->got_len);
    memcpy(raw->got + raw->got_len, bytes.p, n);
    raw->got_len += n;
}

static void raw_writable(void *user SH_UNUSED) {}

static void raw_closed(enum sh_cause cause SH_UNUSED, void *user)
{
    struct raw_peer *peer = user;
    peer->raw->peer_closed = true;
    peer->end = NULL;
}

static const struct sh_stream_ops raw_ops = {
    .rx = raw_rx, .writable = raw_writable, .closed = raw_closed};

struct raw_peer *raw_new(struct world *world, struct raw *raw)
{
    struct raw_peer *peer = calloc(1, sizeof(*peer));
    struct stream *ends[2];
    if (!peer)
        abort();
    peer->world = world;
    peer->raw = raw;
    wire_set_fault(&world->wire, FAULT_NONE, 0, 0);
    wire_pair(&world->wire, 20, ends);
    peer->end = ends[0];
    stream_base(ends[0])->ops = &raw_ops;
    stream_base(ends[0])->user = peer;
    world_start_side(world, raw->session_role, ends[1]);
    return peer;
}

void raw_send(struct raw_peer *peer, const void *bytes, size_t n)
{
    if (peer->end)
        sh_stream_send(stream_base(peer->end), SH_BYTES(bytes, n));
}

void raw_wait(struct raw_peer *peer, sh_ms time)
{
    struct side *side = &peer->world->sides[peer->raw->session_role];
    sh_ms limit = peer->world->wire.now + time;
    while (!side->over && world_step(peer->world, limit))
        ;
    if (side->over) /* its last words are still on the way */
        while (wire_next(&peer->world->wire) <= limit) {
            peer->world->wire.now = wire_next(&peer->world->wire);
            wire_deliver(&peer->world->wire);
        }
    peer->raw->over = side->over;
    peer->raw->cause = side->cause;
}

void raw_free(struct raw_peer *peer)
{
    world_clear_run(peer->world);
    free(peer);
}
