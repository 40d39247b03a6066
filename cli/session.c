/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session's life: the handshake on the fresh stream, deadlines, the end. */
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#include "cli/session_internal.h"
#include "proto/log.h"

static const char *const stage_names[] = {"handshake", "judge",  "enrol", "calibrate",
                                          "transfer",  "linger", "over"};

sh_ms sh_session_now(const struct sh_session *s)
{
    return s->ops->now(s->user) - s->asleep;
}

int64_t sh_session_wall(const struct sh_session *s)
{
    return s->config.wall + (int64_t)((s->ops->now(s->user) - s->started) / 1000);
}

void sh_session_go(struct sh_session *s, enum stage stage, sh_ms deadline)
{
    sh_log("session: %s -> %s", stage_names[s->stage], stage_names[stage]);
    TRACE(s, STAGE, (int64_t)stage);
    s->stage = stage;
    s->deadline = deadline;
}

void sh_session_end(struct sh_session *s, enum sh_cause cause)
{
    if (s->stage == STAGE_OVER)
        return;
    if (cause != SH_OK)
        sh_session_send_abort(s, cause);
    s->end_cause = cause;
    sh_session_go(s, STAGE_OVER, SH_NEVER);
}

void sh_session_settle(struct sh_session *s)
{
    if (s->fatal != SH_OK)
        sh_session_end(s, s->fatal);
    sh_session_lanes_settle(s);
    if (s->stage != STAGE_OVER || s->ended_said)
        return;
    s->ended_said = true;
    sh_session_lanes_free(s);
    sh_session_back_end(s);
    sh_stream_close(s->stream);
    s->stream = NULL;
    if (s->puller)
        sh_session_note_held(s);
    sh_session_trace_ended(s);
    s->ops->ended(s->end_cause, s->user);
}

/* What the handshake calls. */

static void hs_tx(struct sh_bytes frame, void *user)
{
    struct sh_session *s = user;
    if (s->stream)
        sh_stream_send(s->stream, frame);
}

static void hs_phase(enum sh_handshake_phase phase, const char *peer, void *user)
{
    static const enum sh_phase phases[] = {[SH_HANDSHAKE_CONNECT] = SH_PHASE_CONNECT,
                                           [SH_HANDSHAKE_MEASURE] = SH_PHASE_MEASURE,
                                           [SH_HANDSHAKE_CONFIRM] = SH_PHASE_CONFIRM};
    struct sh_session *s = user;
    if (peer && !sh_strcopy(s->result.peer_name, sizeof(s->result.peer_name), peer))
        s->result.peer_name[0] = '\0';
    s->ops->phase(phases[phase], peer && peer[0] ? peer : NULL, s->user);
}

static void hs_sample(bool on, void *user)
{
    struct sh_session *s = user;
    s->sampling = on;
    if (on && !s->measured)
        sh_session_trace_measure(s);
    s->ops->sample(on, s->user);
}

static void hs_proximity(const struct sh_proximity_estimate *estimate, bool final, void *user)
{
    struct sh_session *s = user;
    if (final) {
        s->measured = true;
        sh_session_trace_measured(s, estimate);
    }
    s->ops->proximity(estimate, final, s->user);
}

static bool hs_returning(const uint8_t id[SH_RETURNING_ID_SIZE],
                         const uint8_t nonce[SH_HELLO_NONCE], struct sh_level *ret_level,
                         void *user)
{
    return sh_session_returning(user, id, nonce, ret_level);
}

static enum sh_cause hs_gate(uint32_t *ret_wait_s, void *user)
{
    struct sh_session *s = user;
    struct sh_gate gate = {0};
    SH_TRY(sh_registry_gate(s->config.registry, s->config.boot_id, sh_session_now(s), &gate));
    if (gate.open)
        return SH_OK;
    if (gate.until_person) {
        *ret_wait_s = 0;
        return sh_fail(SH_CONFIRM_LOCKED_OUT, "%u failures in a row", gate.failures);
    }
    *ret_wait_s = (uint32_t)SH_DIV_ROUND_UP(gate.wait_ms, 1000);
    return sh_fail(SH_CONFIRM_LOCKED_OUT, "wait %u seconds", (unsigned)*ret_wait_s);
}

static enum sh_cause hs_charge(void *user)
{
    struct sh_session *s = user;
    return sh_registry_charge(s->config.registry, s->config.boot_id, sh_session_now(s));
}

static enum sh_cause hs_confirmed(void *user)
{
    struct sh_session *s = user;
    return sh_registry_confirmed(s->config.registry);
}

static void hs_show_code(const struct sh_code *code, void *user)
{
    struct sh_session *s = user;
    if (code)
        TRACE(s, CODE, 0);
    s->ops->show_code(code, s->result.peer_name, s->user);
}

static void hs_want_code(unsigned run, void *user)
{
    struct sh_session *s = user;
    TRACE(s, CODE, run);
    s->ops->want_code(run, s->result.peer_name, s->user);
}

static void hs_done(const struct sh_handshake_result *result, void *user)
{
    struct sh_session *s = user;
    s->result = *result;
    if (s->config.reconnect_to &&
        !sh_strcopy(s->result.peer_name, sizeof(s->result.peer_name), s->reconnect_to.name))
        s->result.peer_name[0] = '\0';
    sh_session_go(s, STAGE_JUDGE, sh_session_now(s) + JUDGE_MS);
    if (!sh_session_calibrates(s))
        s->ops->phase(SH_PHASE_ENROL, s->result.peer_name[0] ? s->result.peer_name : NULL, s->user);
    enum sh_cause cause = sh_session_first_lane(s);
    if (cause != SH_OK)
        s->fatal = cause;
}

static void hs_failed(enum sh_cause cause, void *user)
{
    struct sh_session *s = user;
    sh_session_end(s, cause);
}

static const struct sh_handshake_ops handshake_ops = {
    .tx = hs_tx,
    .phase = hs_phase,
    .sample = hs_sample,
    .proximity = hs_proximity,
    .returning = hs_returning,
    .gate = hs_gate,
    .charge = hs_charge,
    .confirmed = hs_confirmed,
    .show_code = hs_show_code,
    .want_code = hs_want_code,
    .done = hs_done,
    .failed = hs_failed,
};

/* What the stream calls before the first lane has it. */

static void stream_rx(struct sh_bytes bytes, void *user)
{
    struct sh_session *s = user;
    size_t used = 0;
    sh_handshake_rx(s->handshake, bytes, sh_session_now(s), &used);
    if (s->stage == STAGE_JUDGE && s->slots[0].lane && used < bytes.n)
        sh_lane_rx(s->slots[0].lane, SH_BYTES(bytes.p + used, bytes.n - used));
    sh_session_settle(s);
}

static void stream_writable(void *user SH_UNUSED) {}

static void stream_closed(enum sh_cause cause SH_UNUSED, void *user)
{
    struct sh_session *s = user;
    sh_stream_close(s->stream);
    s->stream = NULL;
    sh_handshake_closed(s->handshake);
    sh_session_settle(s);
}

static const struct sh_stream_ops stream_ops = {
    .rx = stream_rx, .writable = stream_writable, .closed = stream_closed};

static enum sh_cause start_handshake(struct sh_session *s)
{
    const struct sh_session_config *config = &s->config;
    struct sh_handshake_config hc = {
        .role = config->role,
        .reconnect = config->reconnect_to != NULL,
        .name = config->name,
        .peer_name = config->reconnect_to ? NULL : config->peer_name,
        .link_count = config->link_count,
        .level = config->level,
        .rule = sh_policy_rule(config->policy),
        .near_is_optional = config->policy == SH_POLICY_OFF,
        .heard = config->heard,
        .heard_count = config->heard_count,
        .purpose = config->purpose,
        .learns = config->learns,
        .shares_nothing = config->shares_nothing,
    };
    sh_autowipe struct sh_secret returning_key = {.b = {0}};
    if (hc.reconnect) {
        SH_TRY(sh_session_returning_key(s, &returning_key));
        hc.returning_key = &returning_key;
    }
    memcpy(hc.device_id, config->identity->id, sizeof(hc.device_id));
    memcpy(hc.links, config->links, sizeof(hc.links));
    memcpy(hc.advertised_id, config->advertised_id, sizeof(hc.advertised_id));
    return sh_handshake_new(&hc, &handshake_ops, s, sh_session_now(s), &s->handshake);
}

struct sh_session *sh_session_make(const struct sh_session_config *config,
                                   const struct sh_session_ops *ops, void *user)
{
    struct sh_session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->config = *config;
    s->ops = ops;
    s->user = user;
    s->paths = (struct sh_paths){.ops = &sh_session_paths_ops, .user = s};
    s->number = sh_tracer_session(config->tracer);
    s->started = s->heard = sh_session_now(s);
    s->usual_dbm = config->level.dbm;
    s->deadline = SH_NEVER; /* the handshake's own count first */
    if (config->reconnect_to) {
        s->reconnect_to = *config->reconnect_to;
        s->config.reconnect_to = &s->reconnect_to;
    }
    return s;
}

enum sh_cause sh_session_new(const struct sh_session_config *config,
                             const struct sh_session_ops *ops, void *user, struct sh_stream *stream,
                             struct sh_session **ret_session)
{
    struct sh_session *s = sh_session_make(config, ops, user);
    if (!s) {
        sh_stream_close(stream);
        return SH_ENV_NO_MEMORY;
    }
    TRACE(s, SESSION, false, config->reconnect_to != NULL);
    s->stream = stream;
    stream->ops = &stream_ops;
    stream->user = s;
    enum sh_cause cause = start_handshake(s);
    if (cause != SH_OK) {
        sh_session_free(s);
        return cause;
    }
    *ret_session = s;
    return SH_OK;
}

void sh_session_free(struct sh_session *s)
{
    if (!s)
        return;
    sh_session_lanes_free(s);
    sh_stream_close(s->stream);
    sh_session_anchor_free(s);
    sh_session_secondary_free(s);
    sh_handshake_free(s->handshake);
    X509_free(s->token);
    X509_free(s->ca);
    sh_session_keys_wipe(&s->result.keys);
    sh_secret_wipe(&s->link_psk);
    free(s->waiting);
    free(s);
}

void sh_session_distance(struct sh_session *s, double metres, double sd_m)
{
    sh_ms now = sh_session_now(s);
    if (s->stage == STAGE_HANDSHAKE && s->sampling)
        TRACE_AT(s, now, DISTANCE, sh_trace_hundredths(metres * 10.0),
                 sh_trace_hundredths(sd_m * 10.0));
    if (s->stage == STAGE_HANDSHAKE)
        sh_handshake_distance(s->handshake, metres, sd_m, now);
}

void sh_session_rssi(struct sh_session *s, int dbm)
{
    sh_ms now = sh_session_now(s);
    if (s->stage == STAGE_HANDSHAKE && s->sampling)
        TRACE_AT(s, now, RSSI, dbm);
    if (s->stage == STAGE_HANDSHAKE)
        sh_handshake_rssi(s->handshake, dbm, now);
    sh_session_settle(s);
}

void sh_session_code(struct sh_session *s, const struct sh_code *code)
{
    if (s->stage == STAGE_HANDSHAKE)
        sh_handshake_code(s->handshake, code, sh_session_now(s));
    sh_session_settle(s);
}

void sh_session_stop(struct sh_session *s, enum sh_cause cause)
{
    if (s->stage != STAGE_OVER)
        s->by = SH_BY_PERSON;
    if (s->stage == STAGE_HANDSHAKE)
        sh_handshake_stop(s->handshake, cause);
    else if (sh_session_is_served(s))
        sh_session_end(s, SH_OK);
    else
        sh_session_end(s, cause);
    sh_session_settle(s);
}

sh_ms sh_session_tick(struct sh_session *s)
{
    sh_ms now = sh_session_now(s), next = SH_NEVER;
    if (s->stage == STAGE_HANDSHAKE && s->sampling)
        TRACE_AT(s, now, LOOK, 0);
    if (s->stage == STAGE_HANDSHAKE)
        next = sh_handshake_tick(s->handshake, now);
    if (s->stage == STAGE_JUDGE && now >= s->deadline)
        sh_session_end(s, sh_session_first_is_up(s) ? SH_NEAR_TIMEOUT : SH_ENROL_TIMEOUT);
    if (s->stage == STAGE_ENROL && now >= s->deadline)
        sh_session_end(s, SH_ENROL_TIMEOUT);
    if (s->stage == STAGE_CALIBRATE && now >= s->deadline)
        sh_session_end(s, SH_CONNECT_TIMEOUT);
    if (s->stage == STAGE_LINGER && now >= s->deadline)
        sh_session_end(s, SH_OK);
    sh_session_lanes_tick(s);
    if (s->stage == STAGE_TRANSFER && s->config.role == SH_ANCHOR)
        sh_session_anchor_tick(s);
    if (s->stage == STAGE_TRANSFER && s->config.role == SH_SECONDARY)
        next = sh_session_secondary_tick(s);
    sh_session_settle(s);
    return (s->work ? now : SH_MIN(next, now + 50)) + s->asleep;
}

void sh_session_slept(struct sh_session *s, sh_ms slept)
{
    if (!sh_session_is_moving(s))
        return;
    sh_log("session: slept for %llu ms", (unsigned long long)slept);
    TRACE(s, SLEPT, (int64_t)slept);
    s->asleep += slept;
    if (s->config.role == SH_SECONDARY)
        sh_session_ping_all(s);
    sh_session_settle(s);
}

bool sh_session_is_over(const struct sh_session *s)
{
    return s->stage == STAGE_OVER;
}

bool sh_session_is_served(const struct sh_session *s)
{
    return s->stage == STAGE_LINGER;
}

bool sh_session_is_moving(const struct sh_session *s)
{
    return s->stage == STAGE_TRANSFER || s->stage == STAGE_LINGER;
}

/* A direct session greets by being taken, in what the handshake is not asked for. */
static bool was_taken(const struct sh_session *s)
{
    return s->server || s->puller;
}

bool sh_session_greeted(const struct sh_session *s)
{
    return s->direct ? was_taken(s) : sh_handshake_greeted(s->handshake);
}

struct sh_level sh_session_level(const struct sh_session *s)
{
    return s->config.level;
}

const struct sh_nearness *sh_session_nearness(const struct sh_session *s)
{
    return s->judged ? &s->nearness : NULL;
}

const struct sh_session_held *sh_session_held(const struct sh_session *s)
{
    return &s->held;
}

bool sh_session_heard_us(const struct sh_session *s)
{
    return s->direct ? was_taken(s) : sh_handshake_heard_us(s->handshake);
}
