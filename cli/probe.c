/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/probe.h"

#include <stdlib.h>
#include <string.h>

#include "cli/waiting.h"
#include "pairing/handshake.h"
#include "proto/log.h"

enum state {
    IDLE,    /* its turn to be dialled is not yet, or not again */
    DIALS,   /* an attempt is under way */
    WAITS,   /* connected, another address of the anchor has its channel */
    CHANNEL, /* TLS, then the two words */
    DONE,
};

struct target {
    const struct sh_device *anchor;
    sh_ms heard; /* anything, by whichever address */
};

/* One address. */
struct call {
    struct sh_probe *probe;
    struct target *target;
    enum state state;
    unsigned attempt; /* of DIALS */
    uint16_t segment;
    bool again;               /* dialled for the second time because of silence */
    struct sh_stream *stream; /* WAITS */
    bool gone;                /* that was closed meanwhile; or the lane is down */
    struct sh_lane *lane;     /* CHANNEL */
    enum sh_cause down;
    unsigned pongs;
    sh_ms deadline, asked;
    struct sh_probe_result result;
};

struct sh_probe {
    const struct sh_identity *identity;
    int64_t wall;
    const struct sh_probe_ops *ops;
    void *user;
    struct target targets[SH_PROBE_DEVICES];
    struct call *calls;
    size_t call_count;
    unsigned last_attempt;
    sh_ms deadline;
    bool over;
};

static sh_ms now_of(const struct sh_probe *probe)
{
    return probe->ops->now(probe->user);
}

/* ---- The end of one, and whose turn it is then ---- */

static void let_go(struct call *call)
{
    struct sh_stream *stream = call->stream;
    struct sh_lane *lane = call->lane;
    if (call->state == DIALS)
        call->probe->ops->cancel(call->attempt, call->probe->user);
    call->stream = NULL;
    call->lane = NULL;
    sh_stream_close(stream);
    sh_lane_free(lane);
}

static void finish(struct call *call, enum sh_cause cause)
{
    struct sh_probe_result *result = &call->result;
    /* What is told of small segments is that they pass, else what was found with full ones. */
    if (call->segment == 0) {
        result->cause = cause;
    } else if (cause == SH_OK) {
        result->cause = SH_LINK_MTU;
        result->answers = result->small_passes = true;
    }
    if (call->segment == 0 && !sh_strcopy(result->detail, sizeof(result->detail), sh_detail()))
        result->detail[0] = '\0';
    if (result->small_passes)
        result->detail[0] = '\0';
    let_go(call);
    call->state = DONE;
    call->probe->ops->result(result, call->probe->user);
}

static void dial(struct call *call)
{
    struct sh_probe *probe = call->probe;
    struct sh_attempt attempt = {.id = ++probe->last_attempt,
                                 .kind = SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                 .address_len = call->result.address.len,
                                 .port = call->result.port,
                                 .segment = call->segment};
    memcpy(attempt.address, call->result.address.bytes, attempt.address_len);
    *call = (struct call){.probe = probe,
                          .target = call->target,
                          .state = DIALS,
                          .attempt = attempt.id,
                          .segment = call->segment,
                          .again = call->again,
                          .deadline = now_of(probe) + SH_DIAL_MS,
                          .result = call->result};
    sh_detail_clear();
    enum sh_cause cause = probe->ops->dial(&attempt, probe->user);
    if (cause != SH_OK)
        finish(call, cause);
}

static void begin_channel(struct call *call);

static bool is_served(const struct sh_probe *probe, const struct target *target)
{
    for (size_t i = 0; i < probe->call_count; i++) {
        const struct call *call = &probe->calls[i];
        /* With small segments it has kept its turn. */
        bool has_turn = call->state == CHANNEL || (call->state == DIALS && call->segment > 0);
        if (call->target == target && has_turn)
            return true;
    }
    return false;
}

static void look(struct sh_probe *probe)
{
    bool all = true;
    for (size_t i = 0; i < probe->call_count; i++) {
        struct call *call = &probe->calls[i];
        if (call->state == WAITS && !is_served(probe, call->target)) {
            if (call->gone) { /* the anchor does not let anybody wait for long */
                let_go(call);
                dial(call);
            } else {
                begin_channel(call);
            }
        }
    }
    for (size_t i = 0; i < probe->call_count; i++)
        all = all && probe->calls[i].state == DONE;
    if (!all || probe->over)
        return;
    probe->over = true;
    probe->ops->over(probe->user);
}

/* ---- Channels ---- */

static enum sh_cause ask(struct call *call, uint32_t sequence, size_t padding)
{
    static uint8_t zeros[SH_PROBE_PADDING];
    Simhop__Ping ping = SIMHOP__PING__INIT;
    ping.sequence = sequence;
    ping.padding = (ProtobufCBinaryData){padding, zeros};
    call->asked = now_of(call->probe);
    if (padding > 0)
        call->deadline = call->asked + SH_PROBE_FULL_MS;
    return sh_lane_send(call->lane, SH_MSG_PING, &ping.base);
}

static enum sh_cause lane_up(struct sh_lane *lane, void *user)
{
    struct call *call = user;
    if (!sh_channel_is_direct(sh_lane_channel(lane)))
        return SH_TLS_FAILED;
    SH_TRY(sh_direct_check(call->target->anchor, lane));
    call->result.answers = true;
    call->target->heard = now_of(call->probe);
    return ask(call, 1, 0);
}

static enum sh_cause on_abort(struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_ABORT, payload, &message));
    enum sh_cause cause = sh_cause_from_peer(((const Simhop__Abort *)message)->cause);
    return sh_fail(cause, "said by the other device");
}

static enum sh_cause lane_msg(struct sh_lane *lane SH_UNUSED, unsigned type,
                              struct sh_bytes payload, void *user)
{
    struct call *call = user;
    sh_ms now = now_of(call->probe);
    call->target->heard = now;
    if (type == SH_MSG_ABORT)
        return on_abort(payload);
    if (type != SH_MSG_PONG)
        return sh_fail(SH_PROTO_WRONG_STATE, "%s", sh_msg_info(type)->name);
    if (++call->pongs > 1)
        return SH_OK;
    if (call->segment == 0) {
        call->result.has_rtt = true;
        call->result.rtt = now - call->asked;
    }
    /* Not before: on its own the small one shares no segment with it, and tells that small ones pass. */
    return ask(call, 2, SH_PROBE_PADDING);
}

static void lane_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void lane_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause, void *user)
{
    struct call *call = user;
    call->gone = true;
    call->down = cause;
}

/* What the way says of a channel that came to nothing. */
static enum sh_cause judge(const struct call *call, enum sh_cause cause)
{
    struct sh_path_facts facts = {.phase = SH_PATH_NONE};
    if (!call->lane)
        return cause;
    sh_lane_look(call->lane, &facts);
    if (facts.phase == SH_PATH_NONE)
        return cause;
    facts.phase = SH_PATH_PROBE;
    facts.small_answered = call->pongs == 1;
    facts.mute = now_of(call->probe) - call->target->heard;
    return sh_path_judge(&facts, cause);
}

static void channel_failed(struct call *call, enum sh_cause cause, bool unanswered)
{
    enum sh_cause verdict = judge(call, cause);
    sh_log("probe: %s: %s, so %s", call->target->anchor->name, sh_cause_info(cause)->name,
           sh_cause_info(verdict)->name);
    if (verdict != cause)
        sh_detail_clear();
    if (!unanswered || call->segment > 0) {
        finish(call, verdict);
        return;
    }
    call->result.cause = verdict;
    if (!sh_strcopy(call->result.detail, sizeof(call->result.detail), sh_detail()))
        call->result.detail[0] = '\0';
    let_go(call);
    call->segment = SH_PROBE_SEGMENT;
    dial(call);
}

static void lane_after(void *user)
{
    struct call *call = user;
    struct sh_probe *probe = call->probe;
    if (call->state != CHANNEL)
        return;
    if (call->gone) {
        channel_failed(call, call->down, false);
    } else if (call->pongs >= 2) {
        sh_detail_clear();
        finish(call, SH_OK);
    }
    look(probe);
}

static const struct sh_lane_ops lane_ops = {.up = lane_up,
                                            .msg = lane_msg,
                                            .writable = lane_writable,
                                            .down = lane_down,
                                            .after = lane_after};

static void begin_channel(struct call *call)
{
    struct sh_probe *probe = call->probe;
    struct sh_stream *stream = call->stream;
    call->stream = NULL;
    call->state = CHANNEL;
    call->deadline = now_of(probe) + SH_PROBE_MS;
    call->target->heard = SH_MAX(call->target->heard, now_of(probe));
    sh_detail_clear();
    enum sh_cause cause = sh_direct_lane(probe->identity, call->target->anchor, probe->wall, stream,
                                         &lane_ops, call, &call->lane);
    if (cause != SH_OK)
        finish(call, cause);
}

/* ---- Dials ---- */

static struct call *find(struct sh_probe *probe, unsigned attempt)
{
    for (size_t i = 0; i < probe->call_count; i++) {
        if (probe->calls[i].state == DIALS && probe->calls[i].attempt == attempt)
            return &probe->calls[i];
    }
    return NULL;
}

void sh_probe_dialled(struct sh_probe *probe, unsigned attempt, struct sh_stream *stream)
{
    struct call *call = find(probe, attempt);
    if (!call) {
        sh_stream_close(stream);
        return;
    }
    call->state = WAITS;
    call->deadline = SH_NEVER;
    call->stream = stream;
    sh_stream_waits(stream, &call->gone);
    look(probe);
}

void sh_probe_dial_failed(struct sh_probe *probe, unsigned attempt, enum sh_cause cause,
                          const struct sh_path_facts *facts)
{
    struct call *call = find(probe, attempt);
    if (!call)
        return;
    enum sh_cause verdict = facts ? sh_path_judge(facts, cause) : cause;
    if (verdict != cause)
        sh_detail_clear();
    call->state = IDLE; /* there is nothing to cancel any more */
    if (verdict == SH_LINK_TIMEOUT && !call->again && call->segment == 0) {
        /* Whoever was a neighbour not long ago is asked for his address only after five seconds of silence: the second silence tells
         * whether he is there. */
        call->again = true;
        dial(call);
    } else {
        finish(call, verdict);
    }
    look(probe);
}

/* ---- Time ---- */

static void time_is_over(struct call *call)
{
    enum state state = call->state;
    sh_detail_clear();
    if (state == CHANNEL)
        finish(call, judge(call, SH_LINK_TIMEOUT));
    else if (state != DONE)
        finish(call, SH_LINK_TIMEOUT);
}

static void call_tick(struct call *call, sh_ms now)
{
    if (now < call->deadline)
        return;
    sh_detail_clear();
    if (call->state == DIALS)
        finish(call, SH_LINK_TIMEOUT);
    else if (call->state == CHANNEL)
        channel_failed(call, SH_LINK_TIMEOUT, true);
}

sh_ms sh_probe_tick(struct sh_probe *probe, sh_ms now)
{
    sh_ms next = probe->deadline;
    for (size_t i = 0; i < probe->call_count; i++) {
        if (now >= probe->deadline)
            time_is_over(&probe->calls[i]);
        else
            call_tick(&probe->calls[i], now);
    }
    look(probe);
    for (size_t i = 0; i < probe->call_count; i++) {
        if (probe->calls[i].state != DONE)
            next = SH_MIN(next, probe->calls[i].deadline);
    }
    return probe->over ? SH_NEVER : next;
}

void sh_probe_begin(struct sh_probe *probe)
{
    probe->deadline = now_of(probe) + SH_PROBE_ALL_MS;
    for (size_t i = 0; i < probe->call_count; i++)
        dial(&probe->calls[i]);
    look(probe);
}

/* ---- Making ---- */

enum sh_cause sh_probe_new(const struct sh_identity *identity, int64_t wall,
                           const struct sh_probe_target *targets, size_t count,
                           const struct sh_probe_ops *ops, void *user, struct sh_probe **ret_probe)
{
    if (count > SH_PROBE_DEVICES)
        return SH_INTERNAL_BUG;
    struct sh_probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        return SH_ENV_NO_MEMORY;
    *probe = (struct sh_probe){
        .identity = identity, .wall = wall, .ops = ops, .user = user, .deadline = SH_NEVER};
    probe->calls = calloc(count * SH_ADDRESSES_MAX + 1, sizeof(*probe->calls));
    if (!probe->calls) {
        free(probe);
        return SH_ENV_NO_MEMORY;
    }
    for (size_t t = 0; t < count; t++) {
        probe->targets[t].anchor = targets[t].anchor;
        for (size_t i = 0; i < targets[t].addresses.count && i < SH_ADDRESSES_MAX; i++) {
            struct call *call = &probe->calls[probe->call_count++];
            *call = (struct call){.probe = probe, .target = &probe->targets[t]};
            call->result = (struct sh_probe_result){.anchor = targets[t].anchor,
                                                    .address = targets[t].addresses.list[i],
                                                    .port = targets[t].addresses.port};
        }
    }
    *ret_probe = probe;
    return SH_OK;
}

void sh_probe_free(struct sh_probe *probe)
{
    if (!probe)
        return;
    for (size_t i = 0; i < probe->call_count; i++)
        let_go(&probe->calls[i]);
    free(probe->calls);
    free(probe);
}
