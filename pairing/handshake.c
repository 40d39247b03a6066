/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/handshake.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pairing/handshake_internal.h"
#include "proto/log.h"
#include "proto/text.h"

struct state_info {
    const char *name;
    unsigned deadline_ms; /* 0: none is needed, the handshake is over */
    enum sh_cause missed;
};

static const struct state_info states[STATE_COUNT] = {
    [STATE_AWAIT_HELLO] = {"await-hello", 10000, SH_CONNECT_TIMEOUT},
    [STATE_AWAIT_ANSWER] = {"await-answer", SH_HANDSHAKE_ANSWER_MS, SH_CONNECT_TIMEOUT},
    /* Five seconds, and again on "move it". */
    [STATE_MEASURE] = {"measure", 10000, SH_NEAR_TIMEOUT},
    [STATE_PEER_MEASURE] = {"peer-measure", 10000, SH_NEAR_TIMEOUT},
    [STATE_AWAIT_CODE_READY] = {"await-code-ready", 10000, SH_CONNECT_TIMEOUT},
    [STATE_AWAIT_PERSON] = {"await-person", 120000, SH_CONFIRM_TIMEOUT},
    [STATE_AWAIT_SHARE_V] = {"await-share-v", 10000, SH_CONNECT_TIMEOUT},
    [STATE_AWAIT_DONE] = {"await-done", 10000, SH_CONNECT_TIMEOUT},
    /* A little longer than the person has, so that the side where the person is says what happened. */
    [STATE_AWAIT_SHARE_P] = {"await-share-p", 122000, SH_CONFIRM_TIMEOUT},
    [STATE_AWAIT_CONFIRM] = {"await-confirm", 10000, SH_CONNECT_TIMEOUT},
    [STATE_TLS] = {"tls", 0, SH_OK},
    [STATE_OVER] = {"over", 0, SH_OK},
};

#define ANCHOR    (1U << SH_ANCHOR)
#define SECONDARY (1U << SH_SECONDARY)

/* What may come when. Everything else is proto.wrong-state; Abort may always come. */
static const struct rule {
    enum state state;
    enum sh_msg_type type;
    unsigned roles;
    enum sh_cause (*handler)(struct sh_handshake *hs, struct sh_bytes payload);
} rules[] = {
    {STATE_AWAIT_HELLO, SH_MSG_HELLO, ANCHOR, sh_hs_on_hello},
    {STATE_AWAIT_ANSWER, SH_MSG_HELLO, SECONDARY, sh_hs_on_hello},
    {STATE_MEASURE, SH_MSG_PROXIMITY, ANCHOR | SECONDARY, sh_hs_on_proximity},
    {STATE_PEER_MEASURE, SH_MSG_PROXIMITY, ANCHOR | SECONDARY, sh_hs_on_proximity},
    {STATE_AWAIT_CODE_READY, SH_MSG_CODE_READY, SECONDARY, sh_hs_on_code_ready},
    {STATE_AWAIT_SHARE_P, SH_MSG_PAKE_SHARE_P, ANCHOR, sh_hs_on_share_p},
    {STATE_AWAIT_SHARE_V, SH_MSG_PAKE_SHARE_V, SECONDARY, sh_hs_on_share_v},
    {STATE_AWAIT_CONFIRM, SH_MSG_PAKE_CONFIRM_P, ANCHOR, sh_hs_on_confirm_p},
    {STATE_AWAIT_CONFIRM, SH_MSG_PAKE_FAILED, ANCHOR, sh_hs_on_failed},
    {STATE_AWAIT_DONE, SH_MSG_PAKE_DONE, SECONDARY, sh_hs_on_done},
};

void sh_hs_go(struct sh_handshake *hs, enum state state, const char *why)
{
    sh_log("handshake: %s: %s -> %s (%s)", hs->role == SH_ANCHOR ? "anchor" : "secondary",
           states[hs->state].name, states[state].name, why);
    hs->state = state;
    hs->deadline = states[state].deadline_ms ? hs->now + states[state].deadline_ms : SH_NEVER;
}

enum sh_cause sh_hs_send(struct sh_handshake *hs, unsigned type, const ProtobufCMessage *message)
{
    sh_autofree uint8_t *frame = NULL;
    size_t n = 0;
    SH_TRY(sh_msg_frame(type, message, &frame, &n));
    hs->ops->tx(SH_BYTES(frame, n), hs->user);
    return SH_OK;
}

const struct said *sh_hs_said_by(const struct sh_handshake *hs, enum sh_role role, bool hello)
{
    if (role == hs->role)
        return hello ? &hs->our_hello : &hs->our_proximity;
    return hello ? &hs->peer_hello : &hs->peer_proximity;
}

static void stop_sampling(struct sh_handshake *hs)
{
    if (hs->sampling)
        hs->ops->sample(false, hs->user);
    hs->sampling = false;
}

static void send_abort(struct sh_handshake *hs, enum sh_cause cause, uint32_t wait_s)
{
    Simhop__Abort abort;
    const char *name = sh_cause_info(cause)->name;
    char copy[64];
    simhop__abort__init(&abort);
    if (!sh_strcopy(copy, sizeof(copy), name))
        return;
    abort.cause = copy;
    abort.retry_after_s = wait_s;
    if (sh_hs_send(hs, SH_MSG_ABORT, &abort.base) != SH_OK)
        sh_log("handshake: the peer could not be told of %s", name);
}

/* The one way out of a failed handshake. */
static void end(struct sh_handshake *hs, enum sh_cause cause, bool tell_peer)
{
    if (hs->state == STATE_OVER || hs->state == STATE_TLS)
        return;
    uint32_t wait_s = 0;
    if (cause == SH_CONFIRM_LOCKED_OUT && hs->role == SH_ANCHOR &&
        hs->ops->gate(&wait_s, hs->user) == SH_OK)
        wait_s = 0;
    if (tell_peer)
        send_abort(hs, cause, wait_s);
    stop_sampling(hs);
    if (hs->code.digits[0])
        hs->ops->show_code(NULL, hs->user);
    sh_hs_go(hs, STATE_OVER, sh_cause_info(cause)->name);
    sh_frame_reader_stop(hs->reader);
    hs->ops->failed(cause, hs->user);
}

void sh_hs_enter_tls(struct sh_handshake *hs)
{
    stop_sampling(hs);
    sh_hs_go(hs, STATE_TLS, hs->reconnect ? "reconnect" : "key confirmed");
    sh_frame_reader_stop(hs->reader);
    hs->result.reconnect = hs->reconnect;
    hs->result.purpose = hs->purpose;
    hs->ops->done(&hs->result, hs->user);
    sh_session_keys_wipe(&hs->result.keys);
}

enum sh_cause sh_cause_from_peer(const char *name)
{
    enum sh_cause cause = sh_cause_by_name(name);
    switch ((int)cause) {
    case SH_NEAR_TOO_FAR:
        return SH_NEAR_PEER_TOO_FAR;
    case SH_SESSION_INTERRUPTED:
    case SH_SESSION_DEADLINE:
        return SH_SESSION_PEER_STOPPED;
    default:
        return cause;
    }
}

static void on_abort(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    enum sh_cause cause = sh_msg_unpack(SH_MSG_ABORT, payload, &message);
    if (cause == SH_OK) {
        const Simhop__Abort *abort = (const Simhop__Abort *)message;
        cause = sh_cause_from_peer(abort->cause);
        hs->heard_us = hs->heard_us || cause != SH_CONNECT_TIMEOUT;
        if (cause == SH_CONFIRM_LOCKED_OUT && abort->retry_after_s > 0)
            cause = sh_fail(cause, "wait %u seconds", (unsigned)abort->retry_after_s);
        else
            cause = sh_fail(cause, "said by the other device");
    }
    end(hs, cause, false);
}

static enum sh_cause on_frame(unsigned type, struct sh_bytes payload, void *user)
{
    struct sh_handshake *hs = user;
    if (type == SH_MSG_ABORT) {
        on_abort(hs, payload);
        return SH_OK;
    }
    for (size_t i = 0; i < SH_COUNT(rules); i++) {
        const struct rule *rule = &rules[i];
        if (rule->state == hs->state && rule->type == type && rule->roles & 1U << hs->role) {
            hs->heard_us = hs->heard_us || type != SH_MSG_HELLO || hs->role == SH_SECONDARY;
            return rule->handler(hs, payload);
        }
    }
    return sh_fail(SH_PROTO_WRONG_STATE, "%s in %s", sh_msg_info(type)->name,
                   states[hs->state].name);
}

enum sh_cause sh_hs_set_level(struct sh_handshake *hs, struct sh_level level)
{
    struct sh_proximity_config config = {.use = SH_PROXIMITY_MEASURE,
                                         .rule = hs->near_is_strict ? SH_PROXIMITY_STRICT
                                                                    : SH_PROXIMITY_NORMAL,
                                         .level = {level}};
    hs->result.samples.level = level;
    sh_proximity_free(hs->proximity);
    sh_proximity_free(hs->watch);
    hs->proximity = sh_proximity_new(&config);
    config.use = SH_PROXIMITY_APPROACH;
    hs->watch = sh_proximity_new(&config);
    return hs->proximity && hs->watch ? SH_OK : SH_ENV_NO_MEMORY;
}

static enum sh_cause copy_config(struct sh_handshake *hs, const struct sh_handshake_config *config)
{
    hs->role = config->role;
    hs->reconnect = config->reconnect;
    hs->near_is_optional = config->near_is_optional;
    hs->near_is_strict = config->rule == SH_PROXIMITY_STRICT;
    hs->learns = config->learns;
    hs->shares_nothing = config->shares_nothing;
    if (config->role == SH_SECONDARY)
        sh_hs_set_purpose(hs, config->purpose);
    hs->says_returning = config->returning_key && config->reconnect;
    if (hs->says_returning)
        hs->returning_key = *config->returning_key;
    memcpy(hs->device_id, config->device_id, sizeof(hs->device_id));
    memcpy(hs->advertised_id, config->advertised_id, sizeof(hs->advertised_id));
    hs->link_count = SH_MIN(config->link_count, (size_t)SH_LINKS_MAX);
    memcpy(hs->links, config->links, hs->link_count * sizeof(hs->links[0]));
    SH_TRY(sh_hs_set_level(hs, config->level));
    struct sh_samples *samples = &hs->result.samples;
    samples->heard_count = SH_MIN(config->heard_count, (size_t)SH_HEARD_MAX);
    if (samples->heard_count > 0)
        memcpy(samples->heard, config->heard, samples->heard_count * sizeof(*samples->heard));
    if (!sh_text_is_clean(config->name, SH_NAME_MAX) ||
        !sh_strcopy(hs->name, sizeof(hs->name), config->name))
        return sh_fail(SH_USAGE_BAD_OPTION, "--name: at most %d bytes of plain text", SH_NAME_MAX);
    if (config->peer_name &&
        !sh_strcopy(hs->want_peer_name, sizeof(hs->want_peer_name), config->peer_name))
        return sh_fail(SH_USAGE_BAD_OPTION, "--anchor: at most %d bytes", SH_NAME_MAX);
    return SH_OK;
}

enum sh_cause sh_handshake_new(const struct sh_handshake_config *config,
                               const struct sh_handshake_ops *ops, void *user, sh_ms now,
                               struct sh_handshake **ret_handshake)
{
    struct sh_handshake *hs = calloc(1, sizeof(*hs));
    if (!hs)
        return SH_ENV_NO_MEMORY;
    hs->ops = ops;
    hs->user = user;
    hs->now = now;
    hs->reader = sh_frame_reader_new(true, on_frame, hs);
    enum sh_cause cause = hs->reader ? copy_config(hs, config) : SH_ENV_NO_MEMORY;
    if (cause == SH_OK)
        cause = sh_random(hs->nonce, sizeof(hs->nonce));
    if (cause != SH_OK) {
        sh_handshake_free(hs);
        return cause;
    }
    sh_hs_go(hs, hs->role == SH_ANCHOR ? STATE_AWAIT_HELLO : STATE_AWAIT_ANSWER, "connected");
    ops->phase(SH_HANDSHAKE_CONNECT, NULL, user);
    if (hs->role == SH_SECONDARY)
        cause = sh_hs_send_hello(hs);
    if (cause != SH_OK) {
        sh_handshake_free(hs);
        return cause;
    }
    *ret_handshake = hs;
    return SH_OK;
}

void sh_handshake_free(struct sh_handshake *hs)
{
    if (!hs)
        return;
    stop_sampling(hs);
    sh_spake_free(hs->spake);
    sh_frame_reader_free(hs->reader);
    sh_proximity_free(hs->proximity);
    sh_proximity_free(hs->watch);
    sh_session_keys_wipe(&hs->result.keys);
    sh_secret_wipe(&hs->returning_key);
    sh_wipe(&hs->code, sizeof(hs->code));
    free(hs);
}

void sh_handshake_rx(struct sh_handshake *hs, struct sh_bytes bytes, sh_ms now, size_t *ret_used)
{
    hs->now = now;
    *ret_used = 0;
    if (hs->state == STATE_OVER || hs->state == STATE_TLS)
        return;
    enum sh_cause cause = sh_frame_reader_rx(hs->reader, bytes, ret_used);
    if (cause != SH_OK)
        end(hs, cause, true);
}

void sh_handshake_closed(struct sh_handshake *hs)
{
    enum sh_cause cause = sh_frame_reader_end(hs->reader);
    end(hs, cause == SH_OK ? SH_CONNECT_LOST : cause, false);
}

static bool is_confirming(const struct sh_handshake *hs)
{
    return hs->state >= STATE_AWAIT_CODE_READY && hs->state <= STATE_AWAIT_CONFIRM;
}

/* What the signal strengths so far mean. */
static enum sh_cause judge(struct sh_handshake *hs)
{
    return is_confirming(hs) ? sh_hs_watch_tick(hs) : sh_hs_measure_tick(hs);
}

void sh_handshake_rssi(struct sh_handshake *hs, int dbm, sh_ms now)
{
    hs->now = now;
    if (!hs->sampling)
        return;
    struct sh_proximity_sample sample = {
        .at = now, .dbm = dbm, .channel = SH_CHANNEL_UNKNOWN, .source = SH_SOURCE_CONNECTION};
    if (hs->state == STATE_MEASURE)
        sh_samples_add(&hs->result.samples, now, dbm, sample.channel);
    sh_proximity_add(is_confirming(hs) ? hs->watch : hs->proximity, &sample);
    enum sh_cause cause = judge(hs);
    if (cause != SH_OK)
        end(hs, cause, true);
}

void sh_handshake_distance(struct sh_handshake *hs, double metres, double sd_m, sh_ms now)
{
    hs->now = now;
    if (hs->sampling)
        sh_proximity_sounding(is_confirming(hs) ? hs->watch : hs->proximity, now, metres, sd_m);
}

void sh_handshake_code(struct sh_handshake *hs, const struct sh_code *code, sh_ms now)
{
    hs->now = now;
    if (hs->state != STATE_AWAIT_PERSON)
        return;
    enum sh_cause cause = sh_hs_typed(hs, code);
    if (cause != SH_OK)
        end(hs, cause, true);
}

void sh_handshake_stop(struct sh_handshake *hs, enum sh_cause cause)
{
    end(hs, cause, true);
}

sh_ms sh_handshake_tick(struct sh_handshake *hs, sh_ms now)
{
    hs->now = now;
    if (hs->sampling) {
        enum sh_cause cause = judge(hs);
        if (cause != SH_OK)
            end(hs, cause, true);
    }
    if (hs->deadline != SH_NEVER && now >= hs->deadline) {
        enum sh_cause cause = states[hs->state].missed;
        if (hs->state == STATE_MEASURE && sh_proximity_at(hs->proximity, now).samples == 0)
            cause = SH_NEAR_NO_SIGNAL;
        end(hs, cause, true);
    }
    if (hs->state == STATE_MEASURE)
        return SH_MIN(hs->deadline, now + 100);
    return hs->deadline;
}

bool sh_handshake_greeted(const struct sh_handshake *hs)
{
    return hs->greeted;
}

bool sh_handshake_heard_us(const struct sh_handshake *hs)
{
    return hs->heard_us;
}
