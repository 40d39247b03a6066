/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/direct.h"

#include <stdlib.h>
#include <string.h>

#include "cli/waiting.h"
#include "proto/log.h"

/* An anchor that may answer. */
struct target {
    const struct sh_device *anchor;
    struct sh_addresses addresses;
    bool refused;        /* it answered, and did not want us */
    enum sh_cause told;  /* what was said of it last, SH_OK: nothing */
    enum sh_cause cause; /* of the last attempt of this round */
};

/* One address: dialled, then with a stream that waits for its turn, then with a channel. */
struct call {
    struct sh_direct *direct;
    unsigned attempt; /* 0: free */
    struct target *target;
    struct sh_stream *stream;
    struct sh_lane *lane;
    bool gone;
};

struct sh_direct {
    struct sh_direct_config config;
    const struct sh_direct_ops *ops;
    void *user;
    struct target *targets, *winner;
    size_t target_count, refusals;
    struct call calls[SH_DIRECT_DIALS];
    unsigned last_attempt;
    bool running, first;
    sh_ms
        deadline; /* of the round; between two of them when the next one begins; SH_NEVER: neither */
};

/* ---- A lane to a linked anchor ---- */

static void certp(X509 **cert)
{
    X509_free(*cert);
}

static enum sh_cause read_certs(const struct sh_device *anchor, X509 **token, X509 **ca)
{
    SH_TRY(sh_cert_from_der(SH_BYTES(anchor->token, anchor->token_len), token));
    return sh_cert_from_der(SH_BYTES(anchor->ca, anchor->ca_len), ca);
}

enum sh_cause sh_direct_lane(const struct sh_identity *identity, const struct sh_device *anchor,
                             int64_t wall, struct sh_stream *stream, const struct sh_lane_ops *ops,
                             void *user, struct sh_lane **ret_lane)
{
    SH_CLEANUP(certp) X509 *token = NULL;
    SH_CLEANUP(certp) X509 *ca = NULL;
    enum sh_cause cause = read_certs(anchor, &token, &ca);
    struct sh_channel_config channel = {.role = SH_CHANNEL_CLIENT,
                                        .key = identity->key,
                                        .cert = token,
                                        .ca = ca,
                                        .direct = true,
                                        .now = wall};
    if (cause == SH_OK)
        return sh_lane_new(stream, &channel, ops, user, ret_lane);
    sh_stream_close(stream);
    return cause;
}

enum sh_cause sh_direct_check(const struct sh_device *anchor, struct sh_lane *lane)
{
    X509 *cert = sh_channel_peer_cert(sh_lane_channel(lane));
    sh_autofree uint8_t *key = NULL;
    size_t n = 0;
    if (!cert)
        return SH_TLS_BAD_CERTIFICATE;
    SH_TRY(sh_cert_public_key(cert, &key, &n));
    if (n != anchor->public_key_len || memcmp(key, anchor->public_key, n) != 0)
        return sh_fail(SH_TLS_BAD_CERTIFICATE, "the key is not that of the linked device");
    return SH_OK;
}

/* ---- Calls ---- */

static void drop(struct call *call)
{
    struct call was = *call;
    *call = (struct call){0};
    if (was.attempt && !was.stream && !was.lane)
        was.direct->ops->cancel(was.attempt, was.direct->user);
    sh_stream_close(was.stream);
    sh_lane_free(was.lane);
}

static void drop_all(struct sh_direct *direct)
{
    for (size_t i = 0; i < SH_COUNT(direct->calls); i++)
        drop(&direct->calls[i]);
}

static bool has_calls(const struct sh_direct *direct, const struct target *target)
{
    for (size_t i = 0; i < SH_COUNT(direct->calls); i++) {
        if (direct->calls[i].attempt && (!target || direct->calls[i].target == target))
            return true;
    }
    return false;
}

static bool is_silence(enum sh_cause cause)
{
    return sh_cause_info(cause)->category == SH_CAT_NO_LINK;
}

/* How much is said by it: nothing, that nobody answers, that one has no time now, no. */
static unsigned weight(enum sh_cause cause)
{
    if (cause == SH_OK)
        return 0;
    return is_silence(cause) ? 1 : cause == SH_REFUSED_BUSY ? 2 : 3;
}

/* Rounds come again and again. What was said is not said again, nor less; who answers after all has something else to say. */
static void tell(struct sh_direct *direct, struct target *target, enum sh_cause cause)
{
    sh_log("direct: %s: %s", target->anchor->name, sh_cause_info(cause)->name);
    if (weight(cause) <= weight(target->told))
        return;
    target->told = cause;
    direct->ops->failed(target->anchor, cause, direct->user);
}

/* The round is over if nobody is left of it. */
static void look(struct sh_direct *direct)
{
    bool first = direct->first;
    if (!direct->running || has_calls(direct, NULL))
        return;
    direct->running = direct->first = false;
    direct->deadline = direct->ops->now(direct->user) + SH_DIRECT_AGAIN_MS;
    if (first)
        direct->ops->over(direct->user);
}

static void failed(struct sh_direct *direct, struct target *target, enum sh_cause cause)
{
    target->cause = cause;
    if (!has_calls(direct, target))
        tell(direct, target, cause);
    look(direct);
}

/* ---- Channels ---- */

static enum sh_cause lane_up(struct sh_lane *lane, void *user)
{
    struct call *call = user;
    struct sh_direct *direct = call->direct;
    struct target *target = call->target;
    if (!sh_channel_is_direct(sh_lane_channel(lane)))
        return SH_TLS_FAILED;
    SH_TRY(direct->ops->up(target->anchor, lane, direct->user));
    *call = (struct call){0};
    drop_all(direct);
    direct->winner = target;
    direct->running = false;
    direct->deadline = SH_NEVER;
    return SH_OK;
}

static enum sh_cause lane_msg(struct sh_lane *lane SH_UNUSED, unsigned type SH_UNUSED,
                              struct sh_bytes payload SH_UNUSED, void *user SH_UNUSED)
{
    return SH_PROTO_WRONG_STATE;
}

static void lane_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}

static void lane_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause, void *user)
{
    struct call *call = user;
    call->target->cause = cause;
    call->gone = true;
}

static void call_next(struct sh_direct *direct, struct target *target);

static void lane_after(void *user)
{
    struct call *call = user;
    if (!call->gone)
        return;
    struct sh_direct *direct = call->direct;
    struct target *target = call->target;
    drop(call);
    call_next(direct, target);
    failed(direct, target, target->cause);
}

static const struct sh_lane_ops lane_ops = {.up = lane_up,
                                            .msg = lane_msg,
                                            .writable = lane_writable,
                                            .down = lane_down,
                                            .after = lane_after};

static enum sh_cause begin_channel(struct call *call)
{
    const struct sh_direct_config *config = &call->direct->config;
    struct sh_stream *stream = call->stream;
    call->stream = NULL;
    return sh_direct_lane(config->identity, call->target->anchor, config->wall, stream, &lane_ops,
                          call, &call->lane);
}

/* Of one anchor one channel at a time: it would take each for a visitor. */
static void call_next(struct sh_direct *direct, struct target *target)
{
    for (size_t i = 0; i < SH_COUNT(direct->calls); i++) {
        if (direct->calls[i].lane && direct->calls[i].target == target)
            return;
    }
    for (size_t i = 0; i < SH_COUNT(direct->calls); i++) {
        struct call *call = &direct->calls[i];
        if (!call->stream || call->target != target)
            continue;
        enum sh_cause cause = call->gone ? SH_CONNECT_LOST : begin_channel(call);
        if (cause == SH_OK)
            return;
        target->cause = cause;
        if (!call->stream && !call->lane)
            *call = (struct call){0};
        drop(call);
    }
}

static struct call *find(struct sh_direct *direct, unsigned attempt)
{
    for (size_t i = 0; i < SH_COUNT(direct->calls); i++) {
        if (attempt && direct->calls[i].attempt == attempt)
            return &direct->calls[i];
    }
    return NULL;
}

void sh_direct_dialled(struct sh_direct *direct, unsigned attempt, struct sh_stream *stream)
{
    struct call *call = find(direct, attempt);
    if (!call) {
        sh_stream_close(stream);
        return;
    }
    struct target *target = call->target;
    call->stream = stream;
    sh_stream_waits(stream, &call->gone);
    call_next(direct, target);
    if (!has_calls(direct, target))
        failed(direct, target, target->cause);
}

void sh_direct_dial_failed(struct sh_direct *direct, unsigned attempt, enum sh_cause cause)
{
    struct call *call = find(direct, attempt);
    if (!call)
        return;
    struct target *target = call->target;
    *call = (struct call){0};
    failed(direct, target, cause);
}

/* ---- Rounds ---- */

static void dial(struct sh_direct *direct, struct target *target, const struct sh_address *address)
{
    struct call *call = &direct->calls[0];
    while (call < direct->calls + SH_COUNT(direct->calls) && call->attempt)
        call++;
    if (call == direct->calls + SH_COUNT(direct->calls))
        return;
    struct sh_attempt attempt = {.id = SH_DIRECT_FIRST + direct->last_attempt++,
                                 .kind = SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                 .address_len = address->len,
                                 .port = target->addresses.port};
    memcpy(attempt.address, address->bytes, address->len);
    *call = (struct call){.direct = direct, .attempt = attempt.id, .target = target};
    target->cause = direct->ops->dial(&attempt, direct->user);
    if (target->cause != SH_OK)
        *call = (struct call){0};
}

/* The first address of each, then the second, so that one with many leaves room for the others. */
void sh_direct_begin(struct sh_direct *direct, sh_ms now)
{
    direct->first = !direct->running && direct->deadline == SH_NEVER;
    direct->running = direct->refusals < direct->target_count;
    direct->deadline = direct->running ? now + SH_DIRECT_MS : SH_NEVER;
    for (size_t i = 0; i < SH_ADDRESSES_MAX; i++) {
        for (size_t t = 0; t < direct->target_count; t++) {
            struct target *target = &direct->targets[t];
            if (!target->refused && i < target->addresses.count)
                dial(direct, target, &target->addresses.list[i]);
        }
    }
    look(direct);
}

void sh_direct_stop(struct sh_direct *direct)
{
    direct->running = direct->first = false;
    direct->deadline = SH_NEVER;
    drop_all(direct);
}

/* What may be otherwise in a moment. */
static bool may_change(enum sh_cause cause)
{
    return is_silence(cause) || cause == SH_REFUSED_BUSY;
}

void sh_direct_refused(struct sh_direct *direct, enum sh_cause cause, sh_ms now)
{
    struct target *target = direct->winner;
    direct->winner = NULL;
    if (!target)
        return;
    tell(direct, target, cause);
    direct->deadline = now + SH_DIRECT_AGAIN_MS;
    if (may_change(cause))
        return;
    target->refused = true;
    direct->refusals++;
    direct->deadline = SH_NEVER;
    sh_direct_begin(direct, now);
}

bool sh_direct_is_trying(const struct sh_direct *direct)
{
    return direct->running && direct->first;
}

sh_ms sh_direct_tick(struct sh_direct *direct, sh_ms now)
{
    if (now < direct->deadline)
        return direct->deadline;
    if (!direct->running) {
        sh_direct_begin(direct, now);
        return direct->deadline;
    }
    for (size_t t = 0; t < direct->target_count; t++) {
        if (has_calls(direct, &direct->targets[t]))
            tell(direct, &direct->targets[t], SH_LINK_TIMEOUT);
    }
    drop_all(direct);
    look(direct);
    return direct->deadline;
}

/* ---- Making ---- */

enum sh_cause sh_direct_new(const struct sh_direct_config *config, const struct sh_direct_ops *ops,
                            void *user, struct sh_direct **ret_direct)
{
    struct sh_direct *direct = calloc(1, sizeof(*direct));
    if (!direct)
        return SH_ENV_NO_MEMORY;
    *direct = (struct sh_direct){.config = *config, .ops = ops, .user = user, .deadline = SH_NEVER};
    direct->targets = calloc(config->linked_count + 1, sizeof(*direct->targets));
    if (!direct->targets) {
        free(direct);
        return SH_ENV_NO_MEMORY;
    }
    for (size_t i = 0; i < config->linked_count; i++) {
        const struct sh_device *anchor = &config->linked[i];
        struct target target = {.anchor = anchor};
        if ((config->only && strcmp(config->only, anchor->name) != 0) ||
            sh_registry_get_addresses(config->registry, anchor->id, &target.addresses) != SH_OK)
            continue;
        direct->targets[direct->target_count++] = target;
    }
    *ret_direct = direct;
    return SH_OK;
}

void sh_direct_free(struct sh_direct *direct)
{
    if (!direct)
        return;
    drop_all(direct);
    free(direct->targets);
    free(direct);
}
