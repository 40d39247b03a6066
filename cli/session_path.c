/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Why links fail: what was seen of each kind's way is kept until the kind is given up or comes up, the anchor is asked how it looks from
 * there where that would tell more, and then the verdict is told. The judging itself is transfer/path.h.
 */
#include "cli/session_internal.h"
#include "proto/log.h"

/* A verdict waits no longer for the anchor's view, which stands behind a piece that a slow radio sends for two seconds. */
#define VIEW_MS       3000
#define VIEW_AGAIN_MS 5000
#define PING_MS       2000 /* a link that gives nothing of what it was asked for is pinged so often */
#define PONG_MS       1000

static struct link_path *path_of(struct sh_session *s, int kind)
{
    return kind > 0 && kind < SH_SESSION_KINDS ? &s->paths[kind] : NULL;
}

/* ---- The anchor's view ---- */

static void ask_view(struct sh_session *s, int kind, struct link_path *path)
{
    Simhop__LinkQuery query = SIMHOP__LINK_QUERY__INIT;
    struct slot *slot = sh_session_any_lane(s);
    sh_ms now = sh_session_now(s);
    if (!slot || (path->asked > 0 && now < path->asked + VIEW_AGAIN_MS))
        return;
    query.kind = (Simhop__LinkKind)kind;
    path->asked = now;
    path->awaited = true;
    if (sh_lane_send(slot->lane, SH_MSG_LINK_QUERY, &query.base) != SH_OK)
        sh_session_drop_slot(slot, SH_CONNECT_LOST);
}

enum sh_cause sh_session_on_link_query(struct sh_session *s, struct slot *slot,
                                       struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_QUERY, payload, &message));
    int kind = (int)((const Simhop__LinkQuery *)message)->kind;
    Simhop__LinkView view = SIMHOP__LINK_VIEW__INIT;
    struct sh_session_view seen = {.listening = false};
    if (!path_of(s, kind) || !s->ops->view)
        return SH_OK; /* not asked for by any version that knows us; it waits for nothing, and not for long */
    s->ops->view(kind, &seen, s->user);
    view.kind = (Simhop__LinkKind)kind;
    view.listening = seen.listening;
    view.connections = seen.connections;
    view.bytes = s->read[kind];
    return sh_lane_send(slot->lane, SH_MSG_LINK_VIEW, &view.base);
}

static void tell(struct sh_session *s, int kind, struct link_path *path);

enum sh_cause sh_session_on_link_view(struct sh_session *s, struct slot *slot SH_UNUSED,
                                      struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_VIEW, payload, &message));
    const Simhop__LinkView *view = (const Simhop__LinkView *)message;
    struct link_path *path = path_of(s, (int)view->kind);
    if (!path || !path->awaited)
        return SH_OK; /* too late */
    sh_log("session: the anchor's view of kind %d: %s, %u connections, %llu octets read",
           (int)view->kind, view->listening ? "listens" : "does not listen", view->connections,
           (unsigned long long)view->bytes);
    path->awaited = false;
    path->facts.view = true;
    path->facts.listening = view->listening;
    path->facts.connections = view->connections;
    if (path->pending)
        tell(s, (int)view->kind, path);
    return SH_OK;
}

/* ---- What is seen ---- */

enum sh_cause sh_session_path_note(struct sh_session *s, int kind, const struct sh_path_facts *seen,
                                   enum sh_cause cause)
{
    struct link_path *path = path_of(s, kind);
    struct sh_path_facts facts = *seen;
    if (!path || facts.phase == SH_PATH_NONE || s->config.role != SH_SECONDARY)
        return cause;
    facts.mute = sh_session_now(s) - s->heard;
    facts.view = path->facts.view;
    facts.listening = path->facts.listening;
    facts.connections = path->facts.connections;
    enum sh_cause verdict = sh_path_judge(&facts, cause);
    sh_log("session: kind %d, phase %d, error %d after %llu ms, answer %d, neighbour %d, route %d, "
           "acked %llu, unacked %u: %s",
           kind, (int)facts.phase, facts.error, (unsigned long long)facts.after, (int)facts.answer,
           (int)facts.neighbour, (int)facts.route, (unsigned long long)facts.acked, facts.unacked,
           sh_cause_info(verdict)->name);
    if (path->facts.phase == SH_PATH_NONE ||
        sh_path_telling(verdict) >= sh_path_telling(sh_path_judge(&path->facts, path->cause))) {
        path->facts = facts;
        path->cause = cause;
    }
    if (sh_path_wants_view(&facts))
        ask_view(s, kind, path);
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

void sh_session_path_up(struct sh_session *s, int kind)
{
    struct link_path *path = path_of(s, kind);
    if (!path)
        return;
    *path = (struct link_path){.asked = path->asked};
    if (s->verdict_kind == kind)
        s->verdict = SH_OK;
}

/* ---- What is told ---- */

void sh_session_path_keep(struct sh_session *s, int kind, enum sh_cause cause)
{
    if (!sh_path_is_verdict(cause))
        return;
    s->verdict = cause;
    s->verdict_kind = kind;
}

static void tell(struct sh_session *s, int kind, struct link_path *path)
{
    enum sh_cause verdict = sh_path_judge(&path->facts, path->given_up);
    if (sh_path_telling(verdict) < sh_path_telling(path->given_up))
        verdict = path->given_up;
    *path = (struct link_path){.asked = path->asked};
    sh_session_path_keep(s, kind, verdict);
    s->ops->link(kind, "failed", verdict, s->user);
    sh_session_tell_link(s, kind, false, verdict);
}

void sh_session_path_given_up(struct sh_session *s, int kind, enum sh_cause cause)
{
    struct link_path *path = path_of(s, kind);
    if (!path)
        return;
    path->given_up = cause;
    path->pending = path->awaited;
    path->until = sh_session_now(s) + VIEW_MS;
    if (!path->pending)
        tell(s, kind, path);
}

void sh_session_path_tick(struct sh_session *s)
{
    sh_ms now = sh_session_now(s);
    for (int kind = 1; kind < SH_SESSION_KINDS; kind++) {
        struct link_path *path = &s->paths[kind];
        if (path->pending && now >= path->until)
            tell(s, kind, path);
    }
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
}

enum sh_cause sh_session_path_end(struct sh_session *s, enum sh_cause cause)
{
    for (int kind = 1; kind < SH_SESSION_KINDS; kind++) {
        if (s->paths[kind].pending)
            tell(s, kind, &s->paths[kind]);
    }
    if (cause != SH_TRANSFER_STALLED || s->verdict == SH_OK)
        return cause;
    return sh_fail(s->verdict, "then no link moved a byte for too long");
}
