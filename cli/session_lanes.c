/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lanes of a session: the first one on the BLE stream, further ones that are dialled or accepted, each probed with a
 * small and a full-size ping before it counts as up; and the table that says which message goes where.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/session_internal.h"
#include "proto/log.h"

static const struct sh_lane_ops session_psk_lane_ops;

struct slot *sh_session_slot(struct sh_session *s, sh_link_id id)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (id != 0 && s->slots[i].id == id)
            return &s->slots[i];
    }
    return NULL;
}

static struct slot *slot_of(struct sh_session *s, const struct sh_lane *lane)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (s->slots[i].id != 0 && s->slots[i].lane == lane)
            return &s->slots[i];
    }
    return NULL;
}

struct slot *sh_session_new_slot(struct sh_session *s, int kind, bool first)
{
    for (size_t i = first ? 0 : 1; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->id != 0)
            continue;
        *slot = (struct slot){.id = ++s->last_id, .kind = kind, .first = first};
        slot->heard = sh_session_now(s);
        slot->deadline = first ? SH_NEVER : slot->heard + PROBE_MS;
        return slot;
    }
    return NULL;
}

void sh_session_drop_slot(struct slot *slot, enum sh_cause cause)
{
    if (slot->gone)
        return;
    slot->gone = true;
    slot->gone_cause = cause;
}

bool sh_session_kind_allowed(const struct sh_session *s, int kind, unsigned *ret_rank)
{
    for (size_t i = 0; i < s->config.link_count; i++) {
        if (s->config.links[i] == kind) {
            *ret_rank = (unsigned)i;
            return true;
        }
    }
    return false;
}

static bool usable(const struct slot *slot)
{
    return slot->id != 0 && !slot->gone && slot->lane && sh_lane_is_up(slot->lane);
}

unsigned sh_session_usable_lanes(const struct sh_session *s)
{
    unsigned n = 0;
    for (size_t i = 0; i < SLOTS_MAX; i++)
        n += usable(&s->slots[i]) && s->slots[i].ready;
    return n;
}

bool sh_session_first_is_up(const struct sh_session *s)
{
    return usable(&s->slots[0]);
}

struct slot *sh_session_any_lane(struct sh_session *s)
{
    struct slot *best = NULL;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (usable(slot) && slot->ready && (!best || best->first))
            best = slot;
    }
    return best;
}

void sh_session_send_abort(struct sh_session *s, enum sh_cause cause)
{
    Simhop__Abort abort;
    char name[64];
    simhop__abort__init(&abort);
    if (!sh_strcopy(name, sizeof(name), sh_cause_info(cause)->name))
        return;
    abort.cause = name;
    if (cause == SH_TRANSFER_SOURCE_CHANGED && s->server)
        abort.item = sh_server_changed(s->server);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (usable(&s->slots[i]) &&
            sh_lane_send(s->slots[i].lane, SH_MSG_ABORT, &abort.base) != SH_OK)
            sh_log("session: the peer could not be told over lane %u", s->slots[i].id);
    }
}

void sh_session_tell_link(struct sh_session *s, int kind, bool up, enum sh_cause cause)
{
    Simhop__LinkState state;
    char name[64];
    struct slot *slot = sh_session_any_lane(s);
    simhop__link_state__init(&state);
    if (!slot || s->config.role != SH_SECONDARY ||
        !sh_strcopy(name, sizeof(name), cause == SH_OK ? "" : sh_cause_info(cause)->name))
        return;
    state.kind = (Simhop__LinkKind)kind;
    state.up = up;
    state.cause = name;
    if (sh_lane_send(slot->lane, SH_MSG_LINK_STATE, &state.base) != SH_OK)
        sh_session_drop_slot(slot, SH_CONNECT_LOST);
}

/* Hands a probed lane to the engine that moves bytes. */
void sh_session_give(struct sh_session *s, struct slot *slot)
{
    unsigned rank = 0;
    slot->ready = true;
    if (slot->given || !sh_session_is_moving(s))
        return;
    if (s->config.role == SH_ANCHOR) {
        slot->given = true;
        sh_server_link_up(s->server, slot->id);
    } else if (sh_session_kind_allowed(s, slot->kind, &rank)) {
        slot->given = true;
        sh_ms now = sh_session_now(s);
        TRACE_AT(s, now, CARRIES, slot->id, slot->kind, true, SH_OK);
        sh_puller_link_up(s->puller, slot->id, slot->kind, rank, now);
        s->ops->link(slot->kind, "up", SH_OK, s->user);
        sh_session_tell_link(s, slot->kind, true, SH_OK);
    }
}

enum sh_cause sh_session_derive_link_psk(struct sh_session *s, struct sh_lane *lane)
{
    SH_TRY(sh_channel_export(sh_lane_channel(lane), &s->link_psk));
    SH_TRY(sh_hkdf_expand(&s->link_psk, "simhop1 link id", s->link_id, sizeof(s->link_id)));
    s->have_link_psk = true;
    return SH_OK;
}

/* The key of the first lane: the PAKE's, or the certificates of an earlier enrolment. */
static enum sh_cause first_lane_config(struct sh_session *s, struct sh_channel_config *config)
{
    const struct sh_identity *identity = s->config.identity;
    bool anchor = s->config.role == SH_ANCHOR;
    config->role = anchor ? SH_CHANNEL_SERVER : SH_CHANNEL_CLIENT;
    config->now = sh_session_wall(s);
    if (!s->result.reconnect) {
        if (!anchor) {
            config->psk = &s->result.keys.tls_psk;
            config->psk_identity = SH_BYTES(s->result.keys.session_id, SH_SESSION_ID_SIZE);
        }
        return SH_OK;
    }
    config->key = identity->key;
    if (anchor) {
        config->cert = identity->server_cert;
        config->ca = identity->ca_cert;
        return SH_OK;
    }
    const struct sh_device *device = &s->reconnect_to;
    SH_TRY(sh_cert_from_der(SH_BYTES(device->token, device->token_len), &s->token));
    SH_TRY(sh_cert_from_der(SH_BYTES(device->ca, device->ca_len), &s->ca));
    config->cert = s->token;
    config->ca = s->ca;
    return SH_OK;
}

enum sh_cause sh_session_first_lane(struct sh_session *s)
{
    struct sh_channel_config config = {0};
    SH_TRY(first_lane_config(s, &config));
    struct slot *slot = sh_session_new_slot(s, SIMHOP__LINK_KIND__LINK_KIND_BLE, true);
    if (!slot)
        return SH_INTERNAL_BUG;
    bool psk_server = s->config.role == SH_ANCHOR && !s->result.reconnect;
    struct sh_stream *stream = s->stream;
    s->stream = NULL;
    enum sh_cause cause = sh_lane_new(
        stream, &config, psk_server ? &session_psk_lane_ops : &sh_session_lane_ops, s, &slot->lane);
    if (cause != SH_OK)
        slot->id = 0;
    return cause;
}

enum sh_cause sh_session_take_first(struct sh_session *s, int kind, struct sh_lane *lane)
{
    struct slot *slot = sh_session_new_slot(s, kind, true);
    if (!slot)
        return SH_INTERNAL_BUG;
    slot->lane = lane;
    sh_lane_set_owner(lane, &sh_session_lane_ops, s);
    return SH_OK;
}

/* ---- Asking ---- */

static enum sh_cause send_ping(struct slot *slot, uint32_t sequence, size_t padding)
{
    static uint8_t zeros[PROBE_PADDING];
    Simhop__Ping ping = SIMHOP__PING__INIT;
    ping.sequence = sequence;
    ping.padding = (ProtobufCBinaryData){padding, zeros};
    return sh_lane_send(slot->lane, SH_MSG_PING, &ping.base);
}

void sh_session_ping_all(struct sh_session *s)
{
    s->said = sh_session_now(s);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (usable(slot) && slot->ready && send_ping(slot, 0, 0) != SH_OK)
            sh_session_drop_slot(slot, SH_CONNECT_LOST);
    }
}

/* ---- Messages ---- */

static enum sh_cause on_abort(struct sh_session *s, struct slot *slot SH_UNUSED,
                              struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_ABORT, payload, &message));
    if (s->receipt_waits) /* all is done in a moment, and then a lane that closes is the end */
        return SH_OK;
    const Simhop__Abort *abort = (const Simhop__Abort *)message;
    enum sh_cause cause = sh_cause_from_peer(abort->cause);
    const struct sh_puller_item *item =
        s->puller && abort->item > 0 ? sh_puller_item(s->puller, abort->item - 1) : NULL;
    /* With the receipt here all is done, whatever becomes of the other device now. */
    s->end_cause = s->stage == STAGE_LINGER ? SH_OK
                   : item ? sh_fail(cause, "%s, said by the other device", item->name)
                          : sh_fail(cause, "said by the other device");
    s->by = SH_BY_PEER;
    sh_session_go(s, STAGE_OVER, SH_NEVER);
    return SH_OK;
}

static enum sh_cause on_ping(struct sh_session *s SH_UNUSED, struct slot *slot,
                             struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PING, payload, &message));
    const Simhop__Ping *ping = (const Simhop__Ping *)message;
    Simhop__Pong pong = SIMHOP__PONG__INIT;
    pong.sequence = ping->sequence;
    pong.padding = ping->padding;
    /* A peer that asks and never reads must not fill our memory. */
    if (sh_lane_pending(slot->lane) > SH_STREAM_MOST)
        return sh_fail(SH_PROTO_WRONG_STATE, "pings without reading the answers");
    enum sh_cause cause = sh_lane_send(slot->lane, SH_MSG_PONG, &pong.base);
    return cause == SH_CONNECT_LOST ? SH_OK : cause;
}

static enum sh_cause on_pong(struct sh_session *s, struct slot *slot,
                             struct sh_bytes payload SH_UNUSED)
{
    slot->answered = sh_session_now(s);
    if (slot->first || slot->ready)
        return SH_OK; /* a keepalive's */
    if (++slot->pongs < 2) {
        /* Not before: on its own the small one shares no segment with it, and tells that small ones pass. */
        slot->padded = sh_session_now(s);
        return send_ping(slot, 2, PROBE_PADDING);
    }
    sh_session_link_up(s, slot);
    sh_session_give(s, slot);
    return SH_OK;
}

/* Anchor: a further lane names its kind; it serves from now on, the secondary probes it first. */
static enum sh_cause on_link_hello(struct sh_session *s, struct slot *slot, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_HELLO, payload, &message));
    if (slot->first || slot->ready)
        return sh_fail(SH_PROTO_WRONG_STATE, "link-hello on a lane that is up");
    Simhop__LinkReady ready = SIMHOP__LINK_READY__INIT;
    ready.kind = ((const Simhop__LinkHello *)message)->kind;
    if ((int)ready.kind != slot->kind)
        return sh_fail(SH_PROTO_UNKNOWN_ENUM, "link-hello: kind %d", (int)ready.kind);
    SH_TRY(sh_lane_send(slot->lane, SH_MSG_LINK_READY, &ready.base));
    sh_session_give(s, slot);
    sh_session_calls_over(s, slot);
    return SH_OK;
}

static enum sh_cause on_link_ready(struct sh_session *s SH_UNUSED, struct slot *slot,
                                   struct sh_bytes payload SH_UNUSED)
{
    if (slot->first || slot->ready || slot->pongs > 0)
        return sh_fail(SH_PROTO_WRONG_STATE, "link-ready on a lane that is up");
    return send_ping(slot, 1, 0);
}

#define ANCHOR    (1U << SH_ANCHOR)
#define SECONDARY (1U << SH_SECONDARY)
#define JUDGE     (1U << STAGE_JUDGE)
#define ENROL     (1U << STAGE_ENROL)
#define CALIBRATE (1U << STAGE_CALIBRATE)
#define TRANSFER  (1U << STAGE_TRANSFER)
#define LINGER    (1U << STAGE_LINGER)

/* Who takes what in which stage; the rest goes to the server or the puller. */
static const struct rule {
    enum sh_msg_type type;
    unsigned roles, stages;
    bool first_lane_only;
    enum sh_cause (*handler)(struct sh_session *s, struct slot *slot, struct sh_bytes payload);
} rules[] = {
    {SH_MSG_ABORT, ANCHOR | SECONDARY, JUDGE | ENROL | CALIBRATE | TRANSFER | LINGER, false,
     on_abort},
    {SH_MSG_PING, ANCHOR | SECONDARY, ENROL | TRANSFER | LINGER, false, on_ping},
    {SH_MSG_PONG, SECONDARY, TRANSFER, false, on_pong},
    {SH_MSG_SAMPLES, ANCHOR | SECONDARY, JUDGE, true, sh_session_on_samples},
    {SH_MSG_CALIBRATE, ANCHOR, CALIBRATE, true, sh_session_on_calibrate},
    {SH_MSG_CALIBRATED, SECONDARY, CALIBRATE, true, sh_session_on_calibrated},
    {SH_MSG_ENROL_REQUEST, ANCHOR, ENROL, true, sh_session_on_enrol_request},
    {SH_MSG_ENROL_REPLY, SECONDARY, ENROL, true, sh_session_on_enrol_reply},
    {SH_MSG_LINK_OFFERS, SECONDARY, TRANSFER, false, sh_session_on_link_offers},
    {SH_MSG_LINK_OFFERS, ANCHOR, TRANSFER | LINGER, false, sh_session_on_back_offers},
    {SH_MSG_LINK_STATE, ANCHOR, TRANSFER | LINGER, false, sh_session_on_link_state},
    {SH_MSG_LINK_QUERY, ANCHOR, TRANSFER | LINGER, false, sh_session_on_link_query},
    {SH_MSG_LINK_VIEW, SECONDARY, TRANSFER, false, sh_session_on_link_view},
    {SH_MSG_LINK_HELLO, ANCHOR, TRANSFER | LINGER, false, on_link_hello},
    {SH_MSG_LINK_READY, SECONDARY, TRANSFER, false, on_link_ready},
};

static enum sh_cause dispatch(struct sh_session *s, struct slot *slot, unsigned type,
                              struct sh_bytes payload)
{
    if (sh_session_calibrates(s) && !sh_session_is_calibration(type))
        return sh_fail(SH_PROTO_WRONG_STATE, "%s where only a level is learned",
                       sh_msg_info(type)->name);
    for (size_t i = 0; i < SH_COUNT(rules); i++) {
        const struct rule *rule = &rules[i];
        if (rule->type == type && rule->roles & 1U << s->config.role &&
            rule->stages & 1U << s->stage && (slot->first || !rule->first_lane_only))
            return rule->handler(s, slot, payload);
    }
    bool moving = s->stage == STAGE_TRANSFER || s->stage == STAGE_LINGER;
    if (moving && slot->given && s->config.role == SH_ANCHOR)
        return sh_server_rx(s->server, slot->id, type, payload);
    if (moving && slot->given) {
        sh_session_note_begun(s);
        sh_puller_rx(s->puller, slot->id, type, payload, sh_session_now(s));
        s->unlisted = s->unlisted || (type == SH_MSG_MANIFEST && s->stage == STAGE_TRANSFER);
        sh_session_trace_moved(s);
        return SH_OK;
    }
    return sh_fail(SH_PROTO_WRONG_STATE, "%s", sh_msg_info(type)->name);
}

/* ---- What a lane calls ---- */

static enum sh_cause lane_up(struct sh_lane *lane, void *user)
{
    struct sh_session *s = user;
    struct slot *slot = slot_of(s, lane);
    if (!slot || s->stage == STAGE_OVER)
        return SH_CONNECT_LOST;
    if (slot->first)
        return s->config.role == SH_ANCHOR ? sh_session_anchor_up(s, lane)
                                           : sh_session_send_samples(s, lane);
    slot->proved = true;
    if (s->config.role == SH_ANCHOR)
        return SH_OK;
    Simhop__LinkHello hello = SIMHOP__LINK_HELLO__INIT;
    hello.kind = (Simhop__LinkKind)slot->kind;
    return sh_lane_send(lane, SH_MSG_LINK_HELLO, &hello.base);
}

static enum sh_cause lane_msg(struct sh_lane *lane, unsigned type, struct sh_bytes payload,
                              void *user)
{
    struct sh_session *s = user;
    struct slot *slot = slot_of(s, lane);
    if (!slot || slot->gone || s->stage == STAGE_OVER)
        return SH_CONNECT_LOST;
    s->heard = slot->heard = sh_session_now(s);
    if (type != SH_MSG_PING && type != SH_MSG_LINK_STATE)
        s->wanted = s->heard;
    if (slot->kind > 0 && slot->kind < SH_SESSION_KINDS)
        s->read[slot->kind] += payload.n;
    sh_session_note_called(s, slot, type);
    enum sh_cause cause = dispatch(s, slot, type, payload);
    if (cause != SH_OK)
        s->fatal = cause;
    return cause;
}

static enum sh_cause lane_find_psk(struct sh_lane *lane SH_UNUSED, struct sh_bytes identity,
                                   struct sh_secret *ret_psk, void *user)
{
    const struct sh_session *s = user;
    if (identity.n != SH_SESSION_ID_SIZE ||
        !sh_equal(identity.p, s->result.keys.session_id, SH_SESSION_ID_SIZE))
        return SH_TLS_SESSION_UNKNOWN;
    *ret_psk = s->result.keys.tls_psk;
    return SH_OK;
}

static enum sh_cause called_find_psk(struct sh_lane *lane SH_UNUSED, struct sh_bytes identity,
                                     struct sh_secret *ret_psk, void *user)
{
    return sh_session_find_psk(user, identity, ret_psk);
}

/* after() wakes our owner, whose tick serves on. */
static void lane_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void lane_down(struct sh_lane *lane, enum sh_cause cause, void *user)
{
    struct sh_session *s = user;
    struct slot *slot = slot_of(s, lane);
    if (!slot)
        return;
    sh_log("session: lane %u down: %s", slot->id, sh_cause_info(cause)->name);
    /* Nonsense inside TLS comes from the device itself, not from the way to it. */
    if (sh_cause_info(cause)->category == SH_CAT_DATA && cause != SH_PROTO_TRUNCATED &&
        s->fatal == SH_OK && !sh_session_is_stranger(slot))
        s->fatal = cause;
    sh_session_drop_slot(slot, cause);
}

static void lane_after(void *user)
{
    struct sh_session *s = user;
    s->ops->wake(s->user);
    sh_session_settle(s);
}

const struct sh_lane_ops sh_session_lane_ops = {
    .up = lane_up,
    .msg = lane_msg,
    .writable = lane_writable,
    .down = lane_down,
    .after = lane_after,
};
const struct sh_lane_ops sh_session_called_lane_ops = {
    .up = lane_up,
    .msg = lane_msg,
    .find_psk = called_find_psk,
    .writable = lane_writable,
    .down = lane_down,
    .after = lane_after,
};
static const struct sh_lane_ops session_psk_lane_ops = {
    .up = lane_up,
    .msg = lane_msg,
    .find_psk = lane_find_psk,
    .writable = lane_writable,
    .down = lane_down,
    .after = lane_after,
};

/* ---- Time and the end ---- */

void sh_session_lanes_tick(struct sh_session *s)
{
    sh_ms now = sh_session_now(s);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->id != 0 && sh_session_is_black_hole(s, slot))
            sh_session_drop_slot(slot, SH_LINK_MTU);
        if (slot->id == 0 || slot->ready)
            continue;
        if (slot->pongs > 0 && now >= slot->padded + PADDED_MS)
            sh_session_drop_slot(slot, SH_LINK_MTU);
        else if (now >= slot->deadline)
            sh_session_drop_slot(slot, SH_LINK_TIMEOUT);
    }
}

/* Anchor: what the server counts goes with its link. */
static void keep_count(struct sh_session *s, const struct slot *slot)
{
    if (slot->given && s->server && slot->kind < SH_SESSION_KINDS)
        s->link_bytes[slot->kind] += sh_server_sent(s->server, slot->id);
}

/* Takes one lane away and tells the engines. */
static void remove_slot(struct sh_session *s, struct slot *slot)
{
    struct slot was = *slot;
    enum sh_cause verdict = was.gone_cause;
    if (s->stage == STAGE_TRANSFER && was.gone_cause != SH_OK && (was.ready || !was.back))
        verdict = sh_session_path_note_slot(s, slot, was.gone_cause);
    keep_count(s, &was);
    *slot = (struct slot){0};
    sh_lane_free(was.lane);
    if (was.given && s->server)
        sh_server_link_down(s->server, was.id);
    if ((s->stage == STAGE_JUDGE || s->stage == STAGE_ENROL || s->stage == STAGE_CALIBRATE) &&
        was.first)
        sh_session_end(s, was.gone_cause);
    if (s->stage != STAGE_TRANSFER)
        return;
    sh_session_back_gone(s, &was, verdict);
    if (was.attempt && s->ladder)
        sh_session_attempt_down(s, was.attempt, verdict);
    if (was.first && s->waiting)
        sh_session_release_offers(s);
    if (was.given && s->puller) {
        sh_paths_keep(&s->paths, was.kind, verdict);
        s->ops->link(was.kind, "down", verdict, s->user);
        sh_session_tell_link(s, was.kind, false, verdict);
        sh_ms now = sh_session_now(s);
        TRACE_AT(s, now, CARRIES, was.id, was.kind, false, (int64_t)verdict);
        sh_puller_link_down(s->puller, was.id, now);
    }
    if (!sh_session_is_stranger(&was))
        sh_session_check_abandoned(s, was.gone_cause);
}

void sh_session_lanes_settle(struct sh_session *s)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (s->slots[i].id != 0 && s->slots[i].gone)
            remove_slot(s, &s->slots[i]);
    }
    bool empty = true;
    for (size_t i = 0; i < SLOTS_MAX; i++)
        empty = empty && s->slots[i].id == 0;
    if (s->stage == STAGE_LINGER && empty)
        sh_session_end(s, SH_OK);
}

void sh_session_lanes_free(struct sh_session *s)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        keep_count(s, &s->slots[i]);
        sh_lane_free(s->slots[i].lane);
        s->slots[i] = (struct slot){0};
    }
}
