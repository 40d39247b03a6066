/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other direction: the secondary's door, the anchor's calls, and strangers who come to that door before the anchor does. */
#include <stdlib.h>
#include <string.h>

#include "world_internal.h"

#define LAN          SIMHOP__LINK_KIND__LINK_KIND_LAN
#define CONNECT_MS   50
#define STRANGERS_MS 1

bool world_listen(bool on, void *user)
{
    static uint8_t address[4] = {10, 0, 0, 2};
    struct side *side = user;
    struct world *world = side->world;
    struct run *run = world->run;
    ProtobufCBinaryData addresses = {sizeof(address), address};
    Simhop__LinkOffer offer = SIMHOP__LINK_OFFER__INIT;
    if (!run || run->back == NO_BACK)
        return false;
    world->back.open = on;
    if (!on) {
        run->closed++;
        return true;
    }
    run->opened++;
    run->opened_after = world->wire.now - world->transfer_since;
    if (run->strangers > 0)
        world->back.strangers_at = world->wire.now + STRANGERS_MS;
    offer.kind = LAN;
    offer.addresses = &addresses;
    offer.n_addresses = 1;
    offer.port = run->back_is_malformed ? 0 : 7;
    for (unsigned i = 0; i <= run->back_repeats; i++)
        sh_session_listens(side->session, &offer);
    if (run->ble_dies_then) {
        run->ble_dies_then = false;
        wire_end(side->ble);
        world->back.strangers_at = world->wire.now + run->ble_latency + CONNECT_MS / 2;
    }
    return true;
}

void world_call(struct world *world, const struct sh_attempt *attempt)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (world->back.calls[i].at != 0)
            continue;
        world->back.calls[i].attempt = attempt->id;
        world->back.calls[i].segment = attempt->segment;
        world->back.calls[i].at = world->wire.now + CONNECT_MS;
        if (world->run->calls < SH_COUNT(world->run->segments))
            world->run->segments[world->run->calls] = attempt->segment;
        world->run->calls++;
        return;
    }
    abort();
}

void world_call_off(struct world *world, unsigned attempt)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (world->back.calls[i].attempt == attempt)
            world->back.calls[i].at = 0;
    }
}

/* Words of TLS are smaller than a segment, a full-size probe is larger than several. */
static void dig_hole(const struct run *run, unsigned segment, struct stream *ends[2])
{
    if (run->back_passes == 0 || (segment > 0 && segment <= run->back_passes))
        return;
    if (run->back_hole != HOLE_TO_ANCHOR)
        wire_pass_small(ends[0], run->back_passes);
    if (run->back_hole != HOLE_TO_SECONDARY)
        wire_pass_small(ends[1], run->back_passes);
}

static void connect_call(struct world *world, unsigned attempt, unsigned segment)
{
    struct run *run = world->run;
    struct stream *ends[2];
    if (run->back == BACK_DROPPED || world->sides[SH_ANCHOR].over)
        return;
    if (run->back == BACK_REFUSED || !world->back.open) {
        sh_session_dial_failed(world->sides[SH_ANCHOR].session, attempt, LAN, SH_LINK_REFUSED,
                               NULL);
        return;
    }
    wire_pair(&world->wire, run->link_latency ? run->link_latency : 1, ends);
    dig_hole(run, segment, ends);
    run->back_after = world->wire.now - world->transfer_since;
    if (run->back_dies_after > 0) {
        world->back.end = ends[0];
        world->back.dies_at = world->wire.now + run->back_dies_after;
    }
    sh_session_dialled(world->sides[SH_ANCHOR].session, attempt, LAN, stream_base(ends[0]));
    sh_session_dialled(world->sides[SH_SECONDARY].session, 0, LAN, stream_base(ends[1]));
}

/* ---- Strangers ---- */

static void stranger_rx(struct sh_bytes bytes SH_UNUSED, void *user SH_UNUSED) {}

static void stranger_stream_writable(void *user SH_UNUSED) {}

static void stranger_closed(enum sh_cause cause SH_UNUSED, void *user)
{
    struct guest *stranger = user;
    stranger->world->run->strangers_gone++;
}

static const struct sh_stream_ops stranger_stream_ops = {
    .rx = stranger_rx, .writable = stranger_stream_writable, .closed = stranger_closed};

static enum sh_cause stranger_up(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED)
{
    abort(); /* the key is not the session's */
}

static enum sh_cause stranger_msg(struct sh_lane *lane SH_UNUSED, unsigned type SH_UNUSED,
                                  struct sh_bytes payload SH_UNUSED, void *user SH_UNUSED)
{
    return SH_PROTO_WRONG_STATE;
}

static enum sh_cause stranger_find_psk(struct sh_lane *lane SH_UNUSED,
                                       struct sh_bytes identity SH_UNUSED,
                                       struct sh_secret *ret_psk, void *user)
{
    const struct guest *stranger = user;
    if (stranger->world->run->stranger == STRANGER_KNOWS_NO_KEY)
        return SH_TLS_SESSION_UNKNOWN;
    memset(ret_psk->b, 1, sizeof(ret_psk->b));
    return SH_OK;
}

static void stranger_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void stranger_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause SH_UNUSED, void *user)
{
    struct guest *stranger = user;
    stranger->world->run->strangers_gone++;
}

static void stranger_after(void *user SH_UNUSED) {}

static const struct sh_lane_ops stranger_ops = {
    .up = stranger_up,
    .msg = stranger_msg,
    .find_psk = stranger_find_psk,
    .writable = stranger_writable,
    .down = stranger_down,
    .after = stranger_after,
};

static void enter_stranger(struct world *world, struct guest *stranger)
{
    static const uint8_t nonsense[] = "HTTP/1.1 200 OK\r\n\r\n";
    struct stream *ends[2];
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .now = WALL};
    *stranger = (struct guest){.world = world, .kind = LAN};
    wire_pair(&world->wire, 1, ends);
    struct sh_stream *stream = stream_base(ends[0]);
    if (world->run->stranger >= STRANGER_HAS_ANOTHER_KEY) {
        world_must(sh_lane_new(stream, &config, &stranger_ops, stranger, &stranger->lane), "lane");
    } else {
        stream->ops = &stranger_stream_ops;
        stream->user = stranger;
    }
    sh_session_dialled(world->sides[SH_SECONDARY].session, 0, LAN, stream_base(ends[1]));
    if (world->run->stranger == STRANGER_BABBLES)
        sh_stream_send(stream, SH_BYTES(nonsense, sizeof(nonsense)));
}

/* ---- Time ---- */

void world_back_tick(struct world *world)
{
    sh_ms now = world->wire.now;
    bool listens = world->back.open && !world->sides[SH_SECONDARY].over;
    if (world->back.strangers_at && now >= world->back.strangers_at) {
        world->back.strangers_at = 0;
        for (unsigned i = 0; listens && i < SH_MIN(world->run->strangers, STRANGERS_MAX); i++)
            enter_stranger(world, &world->back.strangers[i]);
        world->run->strangers = 0; /* once */
    }
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (world->back.calls[i].at == 0 || now < world->back.calls[i].at)
            continue;
        world->back.calls[i].at = 0;
        connect_call(world, world->back.calls[i].attempt, world->back.calls[i].segment);
    }
    if (world->back.dies_at && now >= world->back.dies_at) {
        world->back.dies_at = 0;
        wire_end(world->back.end);
    }
}

sh_ms world_back_next(const struct world *world)
{
    sh_ms next = SH_NEVER;
    const sh_ms times[] = {world->back.strangers_at, world->back.dies_at};
    for (size_t i = 0; i < SH_COUNT(times); i++)
        next = times[i] ? SH_MIN(next, times[i]) : next;
    for (size_t i = 0; i < CALLS_MAX; i++)
        next = world->back.calls[i].at ? SH_MIN(next, world->back.calls[i].at) : next;
    return next;
}

void world_back_clear(struct world *world)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++)
        sh_lane_free(world->back.strangers[i].lane);
    memset(&world->back, 0, sizeof(world->back));
}
