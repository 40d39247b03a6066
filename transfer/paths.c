/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/paths.h"

#include "proto/log.h"

static struct sh_path_known *known_of(struct sh_paths *paths, int kind)
{
    return kind > 0 && kind < SH_PATHS_KINDS ? &paths->known[kind] : NULL;
}

static bool hopes(const struct sh_paths *paths, int kind)
{
    return paths->ops->hopes && paths->ops->hopes(kind, paths->user);
}

static void ask_view(struct sh_paths *paths, int kind, struct sh_path_known *path, sh_ms now)
{
    if (path->asked > 0 && now < path->asked + SH_VIEW_AGAIN_MS)
        return;
    if (!paths->ops->ask(kind, paths->user))
        return;
    path->asked = now;
    path->awaited = true;
}

enum sh_cause sh_paths_note(struct sh_paths *paths, int kind, const struct sh_path_facts *seen,
                            enum sh_cause cause, sh_ms now)
{
    struct sh_path_known *path = known_of(paths, kind);
    struct sh_path_facts facts = *seen;
    if (!path || facts.phase == SH_PATH_NONE)
        return cause;
    facts.view = path->facts.view;
    facts.listening = path->facts.listening;
    facts.connections = path->facts.connections;
    enum sh_cause verdict = sh_path_judge(&facts, cause);
    sh_log("paths: kind %d, phase %d, error %d after %llu ms, answer %d, neighbour %d, route %d, "
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
        ask_view(paths, kind, path, now);
    return verdict;
}

void sh_paths_up(struct sh_paths *paths, int kind)
{
    struct sh_path_known *path = known_of(paths, kind);
    if (!path)
        return;
    *path = (struct sh_path_known){.asked = path->asked};
    if (paths->verdict_kind == kind)
        paths->verdict = SH_OK;
}

void sh_paths_keep(struct sh_paths *paths, int kind, enum sh_cause cause)
{
    if (!sh_path_is_verdict(cause))
        return;
    paths->verdict = cause;
    paths->verdict_kind = kind;
}

static void tell(struct sh_paths *paths, int kind, struct sh_path_known *path)
{
    enum sh_cause verdict = sh_path_judge(&path->facts, path->given_up);
    if (sh_path_telling(verdict) < sh_path_telling(path->given_up))
        verdict = path->given_up;
    *path = (struct sh_path_known){.asked = path->asked};
    sh_paths_keep(paths, kind, verdict);
    paths->ops->failed(kind, verdict, paths->user);
}

void sh_paths_view(struct sh_paths *paths, int kind, bool listening, unsigned connections)
{
    struct sh_path_known *path = known_of(paths, kind);
    if (!path || !path->awaited)
        return; /* too late */
    path->awaited = false;
    path->facts.view = true;
    path->facts.listening = listening;
    path->facts.connections = connections;
    if (path->pending && !hopes(paths, kind))
        tell(paths, kind, path);
}

void sh_paths_given_up(struct sh_paths *paths, int kind, enum sh_cause cause, sh_ms now)
{
    struct sh_path_known *path = known_of(paths, kind);
    if (!path)
        return;
    path->given_up = cause;
    path->pending = path->awaited || hopes(paths, kind);
    path->until = now + SH_VIEW_MS;
    if (!path->pending)
        tell(paths, kind, path);
}

sh_ms sh_paths_tick(struct sh_paths *paths, sh_ms now)
{
    sh_ms next = SH_NEVER;
    for (int kind = 1; kind < SH_PATHS_KINDS; kind++) {
        struct sh_path_known *path = &paths->known[kind];
        bool waits = path->awaited || hopes(paths, kind);
        if (path->pending && (!waits || now >= path->until))
            tell(paths, kind, path);
        if (path->pending)
            next = SH_MIN(next, path->until);
    }
    return next;
}

enum sh_cause sh_paths_end(struct sh_paths *paths, enum sh_cause cause)
{
    for (int kind = 1; kind < SH_PATHS_KINDS; kind++) {
        if (paths->known[kind].pending)
            tell(paths, kind, &paths->known[kind]);
    }
    if (cause != SH_TRANSFER_STALLED || paths->verdict == SH_OK)
        return cause;
    return sh_fail(paths->verdict, "then no link moved a byte for too long");
}
