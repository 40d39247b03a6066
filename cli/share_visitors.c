/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <sys/resource.h>

#include "cli/share_internal.h"
#include "cli/trace_file.h"
#include "proto/log.h"
#include "system/clock.h"

#define TURN_MS   5   /* of serving, then the loop looks what came in */
#define OWN_FILES 128 /* descriptors that are no connections */

/* That have greeted us and are not over. */
static bool is_running(const struct visitor *visitor)
{
    return visitor->session && !visitor->over && sh_session_greeted(visitor->session);
}

bool sh_share_any_running(const struct share *share)
{
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (is_running(visitor))
            return true;
    }
    return false;
}

bool sh_share_any_unserved(const struct share *share)
{
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (is_running(visitor) && !sh_session_is_served(visitor->session))
            return true;
    }
    return false;
}

void sh_share_stop_others(struct share *share)
{
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (visitor->session && !visitor->over && !sh_session_is_moving(visitor->session))
            sh_session_stop(visitor->session, SH_SESSION_INTERRUPTED);
    }
}

bool sh_share_is_full(const struct share *share, bool direct)
{
    unsigned n = 0, most = direct ? share->direct_max : SH_SHARE_SESSIONS;
    if (share->visitor_count < most) /* which spares a look at all of many, for each who comes */
        return false;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next)
        n += visitor->direct == direct && is_running(visitor);
    return n >= most;
}

void sh_share_append(struct share *share, struct visitor *visitor)
{
    visitor->next = NULL;
    *share->last = visitor;
    share->last = &visitor->next;
    share->visitor_count++;
}

void sh_share_take_first(struct share *share)
{
    share->visitors = share->visitors->next;
    share->visitor_count--;
    if (!share->visitors)
        share->last = &share->visitors;
}

void sh_visitor_free(struct visitor *visitor)
{
    sh_session_free(visitor->session);
    free(visitor);
}

static void send_away(struct share *share, const struct visitor *gone)
{
    struct visitor *all = share->visitors;
    share->visitors = NULL;
    share->last = &share->visitors;
    share->visitor_count = 0;
    while (all) {
        struct visitor *visitor = all;
        all = visitor->next;
        if (visitor == gone)
            sh_visitor_free(visitor);
        else
            sh_share_append(share, visitor);
    }
}

/* Of those who came the same way and have not greeted us, too many: who has been silent for longest makes room. */
static void make_room(struct share *share, bool direct)
{
    const struct visitor *oldest = NULL;
    unsigned silent = 0, of_all = 0;
    if (share->visitor_count < (direct ? share->direct_max : SH_SHARE_SILENT))
        return;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (visitor->direct != direct || visitor->over)
            continue;
        of_all++;
        if (sh_session_greeted(visitor->session))
            continue;
        silent++;
        if (!oldest || visitor->since < oldest->since)
            oldest = visitor;
    }
    if (oldest && (direct ? of_all >= share->direct_max : silent >= SH_SHARE_SILENT))
        send_away(share, oldest);
}

/* A file that changed is shared as it is now, once nobody gets it as it was. */
static void renew_items(const struct share *share)
{
    const struct sh_share_config *config = share->config;
    if (share->visitors)
        return;
    for (size_t i = 0; i < config->item_count; i++) {
        if (sh_item_renew(config->items[i], config->identity->id) != SH_OK)
            sh_log("share: %s", sh_detail());
    }
    sh_detail_clear();
}

struct visitor *sh_share_new_visitor(struct share *share, bool direct)
{
    if (share->quitting || share->stopping || share->ending)
        return NULL;
    make_room(share, direct);
    renew_items(share);
    if (!share->visitors)
        sh_trace_file_renew(share->config->trace);
    struct visitor *visitor = calloc(1, sizeof(*visitor));
    if (!visitor)
        return NULL;
    *visitor = (struct visitor){
        .share = share, .since = sh_now(), .direct = direct, .number = ++share->last_number};
    visitor->events = (struct sh_events){.out = share->config->out,
                                         .tracer = share->config->tracer,
                                         .role = "anchor",
                                         .started = visitor->since};
    return visitor;
}

/* Each once, as long as the turn lasts. Who had its turn stands at the end of the line then. */
sh_ms sh_share_tick_visitors(struct share *share, sh_ms now)
{
    struct visitor *visitor = NULL, *first = NULL; /* that comes round again */
    bool ticked = false;
    sh_ms next = SH_NEVER, end = now;
    if (share->lobby.count == 0) /* else who waits there comes before the second piece of others */
        end += TURN_MS;
    while ((visitor = share->visitors) != NULL && visitor != first) {
        if (ticked && sh_now() >= end)
            return now;
        sh_share_take_first(share);
        if (!visitor->over && (visitor->due <= now || sh_session_waits(visitor->session))) {
            visitor->due = sh_session_tick(visitor->session);
            ticked = true; /* one at least, however late it is */
        }
        if (visitor->over) {
            sh_visitor_free(visitor);
            continue;
        }
        sh_share_append(share, visitor);
        first = first ? first : visitor;
        next = SH_MIN(next, visitor->due);
    }
    return next;
}

/* Each session and each guest of the lobby has a connection, and a session may have another one beside it for a while: while a
 * link is tried again, say. Where the machine allows fewer, fewer sessions are taken. */
unsigned sh_share_fit_descriptors(struct share *share)
{
    struct rlimit limit = {0};
    unsigned wanted = share->config->direct_max ? share->config->direct_max : SH_SHARE_DIRECT;
    const rlim_t others = OWN_FILES + SH_LOBBY_GUESTS;
    share->direct_max = wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 2 * wanted + SH_LOBBY_GUESTS;
    rlim_t needed = 2 * (rlim_t)wanted + others;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = SH_MIN(needed, limit.rlim_max);
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
            sh_log("share: the limit of open files stays as it is");
    }
    if (limit.rlim_cur < needed)
        share->direct_max =
            limit.rlim_cur > others + 2 ? (unsigned)((limit.rlim_cur - others) / 2) : 1;
    sh_log("share: at most %u sessions over the network", share->direct_max);
    return 2 * share->direct_max + SH_LOBBY_GUESTS;
}
