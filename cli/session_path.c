/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Why links fail: what transfer/paths.h makes a verdict of is gathered here, and the anchor is asked how it looks from there over any
 * lane that works.
 */
#include "cli/session_internal.h"
#include "proto/log.h"

#define PING_MS 2000 /* a link that gives nothing of what it was asked for is pinged so often */
#define PONG_MS 1000

/* ---- The anchor's view ---- */

static bool ask_view(int kind, void *user)
{
    struct sh_session *s = user;
    Simhop__LinkQuery query = SIMHOP__LINK_QUERY__INIT;
    struct slot *slot = sh_session_any_lane(s);
    if (!slot)
        return false;
    query.kind = (Simhop__LinkKind)kind;
    if (sh_lane_send(slot->lane, SH_MSG_LINK_QUERY, &query.base) != SH_OK)
        sh_session_drop_slot(slot, SH_CONNECT_LOST);
    return true;
}

enum sh_cause sh_session_on_link_query(struct sh_session *s, struct slot *slot,
                                       struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_QUERY, payload, &message));
    int kind = (int)((const Simhop__LinkQuery *)message)->kind;
    Simhop__LinkView view = SIMHOP__LINK_VIEW__INIT;
    struct sh_session_view seen = {.listening = false};
    if (kind <= 0 || kind >= SH_SESSION_KINDS || !s->ops->view)
        return SH_OK; /* not asked for by any version that knows us; it waits for nothing, and not for long */
    s->ops->view(kind, &seen, s->user);
    view.kind = (Simhop__LinkKind)kind;
    view.listening = seen.listening;
    view.connections = seen.connections;
    view.bytes = s->read[kind];
    return sh_lane_send(slot->lane, SH_MSG_LINK_VIEW, &view.base);
}

enum sh_cause sh_session_on_link_view(struct sh_session *s, struct slot *slot SH_UNUSED,
                                      struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_VIEW, payload, &message));
    const Simhop__LinkView *view = (const Simhop__LinkView *)message;
    sh_log("session: the anchor's view of kind %d: %s, %u connections, %llu octets read",
           (int)view->kind, view->listening ? "listens" : "does not listen", view->connections,
           (unsigned long long)view->bytes);
    TRACE_AT(s, sh_session_event(s), VIEW, (int64_t)view->kind, view->listening, view->connections);
    sh_paths_view(&s->paths, (int)view->kind, view->listening, view->connections);
    return SH_OK;
}

/* ---- What is seen ---- */

enum sh_cause sh_session_path_note(struct sh_session *s, int kind, const struct sh_path_facts *seen,
                                   enum sh_cause cause)
{
    struct sh_path_facts facts = *seen;
    if (s->config.role != SH_SECONDARY)
        return cause;
    facts.mute = sh_session_now(s) - s->heard;
    sh_ms now = sh_session_event(s);
    enum sh_cause verdict = sh_paths_note(&s->paths, kind, &facts, cause, now);
    if (facts.phase != SH_PATH_NONE)
        sh_tracer_path(s->config.tracer, now + s->asleep, s->number, kind, &facts, cause, verdict);
    return verdict;
}

enum sh_cause sh_session_path_note_slot(struct sh_session *s, const struct slot *slot,
                                        enum sh_cause cause)
{
    struct sh_path_facts facts = {.phase = SH_PATH_NONE};
    sh_ms now = sh_session_now(s);
    if (!slot->lane || slot->first)
        return cause;
    sh_lane_look(slot->lane, &facts);
    if (facts.phase != SH_PATH_NONE && !slot->ready)
        facts.phase = SH_PATH_PROBE;
    facts.small_answered = !slot->ready && slot->pongs == 1;
    facts.pings_answered =
        cause == SH_LINK_STALLED && slot->answered > 0 && now - slot->answered < PING_MS + PONG_MS;
    return sh_session_path_note(s, slot->kind, &facts, cause);
}

void sh_session_network_changed(struct sh_session *s)
{
    if (s->stage != STAGE_TRANSFER || !s->ladder)
        return;
    sh_ms now = sh_session_event(s);
    TRACE_AT(s, now, NETWORK, 0);
    sh_back_changed(&s->back);
    s->asking = true;
    sh_ladder_again(s->ladder, SIMHOP__LINK_KIND__LINK_KIND_LAN, now);
    s->asking = false;
    s->ops->wake(s->user);
    sh_session_settle(s);
}

/* ---- What is told ---- */

static void tell_failed(int kind, enum sh_cause verdict, void *user)
{
    struct sh_session *s = user;
    s->ops->link(kind, "failed", verdict, s->user);
    sh_session_tell_link(s, kind, false, verdict);
}

const struct sh_paths_ops sh_session_paths_ops = {
    .ask = ask_view, .failed = tell_failed, .hopes = sh_session_back_hopes};

sh_ms sh_session_path_tick(struct sh_session *s, sh_ms now)
{
    sh_ms next = sh_paths_tick(&s->paths, now);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        Simhop__Ping ping = SIMHOP__PING__INIT;
        if (!slot->given || slot->gone || now < SH_MAX(slot->heard, slot->pinged) + PING_MS ||
            !sh_puller_waits_for(s->puller, slot->id))
            continue;
        slot->pinged = now;
        if (sh_lane_send(slot->lane, SH_MSG_PING, &ping.base) != SH_OK)
            sh_session_drop_slot(slot, SH_CONNECT_LOST);
    }
    return next;
}
