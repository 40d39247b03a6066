/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"
#include "transfer/wifi_internal.h"

#define BUDGET_MS (SH_JOIN_MS - 2000) /* ways that begin later would not come to an end */

enum state { IDLE, WAITING, JOINING, JOINED };

struct sh_wifi_join {
    struct sh_wifi *wifi;
    enum state state;
    struct sh_wifi_group group; /* of what is joined, or being joined */
    struct sh_wifi_run *run;
    struct sh_wifi_up up;
    enum sh_wifi_way way;
    enum sh_cause cause; /* why the ways so far did not work */
    char detail[160];
    bool tried; /* cause is of a way that was tried */
    sh_ms started, way_started;
    struct event *next;
    struct sh_attempt attempts[SH_LADDER_ATTEMPTS]; /* that wait for the group */
    size_t count;
    struct sh_tcp_dials dials;
};

static void schedule(struct sh_wifi_join *j)
{
    event_active(j->next, EV_TIMEOUT, 1);
}

static void leave(struct sh_wifi_join *j, enum sh_cause cause, bool lost)
{
    sh_tcp_streams_cut(&j->wifi->owner, cause, lost);
    if (!sh_wifi_run_free(j->run))
        j->wifi->swept = false;
    j->run = NULL;
    j->state = IDLE;
}

/* ---- Attempts ---- */

static void tell_failed(struct sh_wifi_join *j, unsigned attempt, enum sh_cause cause)
{
    static const struct sh_path_facts none = {.phase = SH_PATH_NONE};
    struct sh_link *link = &j->wifi->link;
    link->ops->dial_failed(link, attempt, cause, &none, link->user);
}

/* All that wait; the callee may add new ones, which wait for the next round. */
static void fail_all(struct sh_wifi_join *j, enum sh_cause cause)
{
    unsigned ids[SH_LADDER_ATTEMPTS];
    size_t count = j->count;
    for (size_t i = 0; i < count; i++)
        ids[i] = j->attempts[i].id;
    sh_wipe(j->attempts, sizeof(j->attempts));
    j->count = 0;
    for (size_t i = 0; i < count; i++)
        tell_failed(j, ids[i], cause);
}

static void on_dialled(unsigned attempt, struct sh_stream *stream, enum sh_cause cause,
                       const struct sh_path_facts *facts, void *user)
{
    struct sh_wifi_join *j = user;
    struct sh_link *link = &j->wifi->link;
    if (!stream) {
        link->ops->dial_failed(link, attempt, cause, facts, link->user);
        return;
    }
    sh_log("wifi: connected %llu ms after it was asked",
           (unsigned long long)(sh_now() - j->started));
    link->ops->dialled(link, attempt, stream, link->user);
}

static enum sh_cause dial_now(struct sh_wifi_join *j, const struct sh_attempt *attempt)
{
    struct sh_tcp_local local = {.iface = j->up.iface, .ifindex = j->up.ifindex};
    for (size_t i = 0; i < j->up.address_count; i++) {
        if (j->up.addresses[i].len == attempt->address_len)
            local.address = j->up.addresses[i];
    }
    return sh_tcp_dial(&j->dials, attempt, &local);
}

/* ---- Ways ---- */

static void try_ways(struct sh_wifi_join *j);

static void remember(struct sh_wifi_join *j, enum sh_cause cause, bool tried)
{
    sh_log("wifi: %s: %s (%s)", sh_wifi_way_name(j->way), sh_cause_info(cause)->name, sh_detail());
    if (j->cause != SH_OK && (!tried || j->tried))
        return;
    j->cause = cause;
    j->tried = tried;
    if (!sh_strcopy(j->detail, sizeof(j->detail), sh_detail()))
        j->detail[0] = '\0';
}

static void on_up(const struct sh_wifi_up *up, void *user)
{
    struct sh_wifi_join *j = user;
    sh_ms now = sh_now();
    j->state = JOINED;
    j->up = *up;
    sh_wifi_note(j->wifi, "Wi-Fi Direct: joined on %s (%s) in %llu ms.", up->iface,
                 sh_wifi_way_name(j->way), (unsigned long long)(now - j->way_started));
    size_t count = j->count;
    j->count = 0;
    for (size_t i = 0; i < count; i++) {
        enum sh_cause cause = dial_now(j, &j->attempts[i]);
        if (cause != SH_OK)
            tell_failed(j, j->attempts[i].id, cause);
    }
}

/* Another way helps neither against a wrong key nor against a full group. */
static bool is_final(enum sh_cause cause)
{
    return cause == SH_WIFI_WRONG_KEY || cause == SH_WIFI_GROUP_FULL;
}

static void fail_dials(struct sh_wifi_join *j, enum sh_cause cause)
{
    unsigned ids[SH_LADDER_ATTEMPTS];
    size_t n = sh_tcp_dials_list(&j->dials, ids, SH_COUNT(ids));
    sh_tcp_dials_clear(&j->dials);
    for (size_t i = 0; i < n; i++)
        tell_failed(j, ids[i], cause);
}

static void on_ended(enum sh_cause cause, void *user)
{
    struct sh_wifi_join *j = user;
    bool was_up = j->state == JOINED;
    if (!was_up)
        remember(j, cause, true);
    leave(j, cause, true);
    if (was_up) {
        fail_dials(j, cause);
        fail_all(j, cause);
        return;
    }
    if (is_final(cause)) {
        fail_all(j, cause);
        return;
    }
    j->way++;
    try_ways(j);
}

static const struct sh_wifi_run_ops run_ops = {.up = on_up, .ended = on_ended};

static enum sh_cause try_way(struct sh_wifi_join *j, const struct sh_wifi_radio *radio,
                             const struct sh_wifi_iface *station, struct sh_wifi_run_config *config)
{
    static const enum sh_wpa_task_kind kinds[] = {SH_WPA_SECOND, SH_WPA_CLIENT, SH_WPA_STATION};
    struct sh_wifi *wifi = j->wifi;
    SH_TRY(sh_wifi_can_join(radio, station, j->way, j->group.frequency_mhz));
    if (j->way == SH_WIFI_WAY_STATION &&
        !(wifi->may_take_station && wifi->may_take_station(wifi->link.user)))
        return sh_fail(SH_WIFI_OWNED, "%s is in use; --take-wifi would take it", station->name);
    sh_wifi_note(wifi, "Wi-Fi Direct: joining with %s (%s).", station->name,
                 sh_wifi_way_name(j->way));
    config->kind = kinds[j->way];
    config->group = j->group;
    j->way_started = sh_now();
    enum sh_cause cause = sh_wifi_run_new(config, &run_ops, j, &j->run);
    sh_wipe(&config->group, sizeof(config->group));
    return cause;
}

static void try_ways(struct sh_wifi_join *j)
{
    struct sh_wifi_radio radio;
    struct sh_wifi_run_config config;
    const struct sh_wifi_iface *station = NULL;
    enum sh_cause cause = sh_wifi_look(j->wifi, &radio, &station, &config);
    if (cause == SH_WIFI_ABSENT && j->cause == SH_WIFI_GONE)
        cause = sh_fail(j->cause, "%s", j->detail); /* it was there when we began */
    if (cause != SH_OK) {
        fail_all(j, cause);
        return;
    }
    for (; j->way < SH_WIFI_WAYS && sh_now() - j->started < BUDGET_MS; j->way++) {
        cause = try_way(j, &radio, station, &config);
        if (cause == SH_OK) {
            j->state = JOINING;
            return;
        }
        remember(j, cause, false);
    }
    cause = j->cause != SH_OK ? sh_wifi_name_cause(j->wifi, j->cause) : SH_WIFI_JOIN_TIMEOUT;
    fail_all(j, sh_fail(cause, "%s", j->detail));
}

static void on_next(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi join");
    struct sh_wifi_join *j = user;
    if (j->state != WAITING)
        return;
    j->state = IDLE;
    if (j->count == 0)
        return;
    j->way = SH_WIFI_WAY_SECOND;
    j->cause = SH_OK;
    j->tried = false;
    j->detail[0] = '\0';
    try_ways(j);
}

/* ---- What the link asks ---- */

void sh_wifi_join_begin(struct sh_wifi_join *j)
{
    if (j->state == WAITING)
        schedule(j);
}

bool sh_wifi_join_runs(const struct sh_wifi_join *j)
{
    return j->run != NULL;
}

static bool same_group(const struct sh_wifi_group *a, const struct sh_wifi_group *b)
{
    return a->ssid_len == b->ssid_len && memcmp(a->ssid, b->ssid, a->ssid_len) == 0 &&
           strcmp(a->passphrase, b->passphrase) == 0 &&
           memcmp(a->bssid, b->bssid, sizeof(a->bssid)) == 0 &&
           a->frequency_mhz == b->frequency_mhz;
}

enum sh_cause sh_wifi_join_dial(struct sh_wifi_join *j, const struct sh_attempt *attempt)
{
    bool same = j->state != IDLE && same_group(&j->group, &attempt->group);
    if (same && j->state == JOINED)
        return dial_now(j, attempt);
    if (j->count == SH_LADDER_ATTEMPTS)
        return SH_ENV_NO_MEMORY;
    if (!same) { /* the anchor began anew: what we are in is of no use */
        leave(j, SH_WIFI_GROUP_LOST, false);
        j->group = attempt->group;
        j->state = WAITING;
        j->started = sh_now();
    }
    j->attempts[j->count++] = *attempt;
    return SH_OK;
}

void sh_wifi_join_cancel(struct sh_wifi_join *j, unsigned attempt)
{
    sh_tcp_dial_cancel(&j->dials, attempt);
    for (size_t i = 0; i < j->count; i++) {
        if (j->attempts[i].id != attempt)
            continue;
        j->attempts[i] = j->attempts[--j->count];
        break;
    }
    if (j->count == 0 && j->state != JOINED)
        leave(j, SH_WIFI_JOIN_TIMEOUT, false);
}

void sh_wifi_join_rest(struct sh_wifi_join *j)
{
    sh_tcp_dials_clear(&j->dials);
    sh_wipe(j->attempts, sizeof(j->attempts));
    j->count = 0;
    leave(j, SH_CONNECT_LOST, false);
}

enum sh_cause sh_wifi_join_new(struct sh_wifi *wifi, struct sh_wifi_join **ret_join)
{
    struct sh_wifi_join *j = calloc(1, sizeof(*j));
    if (!j)
        return SH_ENV_NO_MEMORY;
    *j = (struct sh_wifi_join){.wifi = wifi, .state = IDLE};
    j->dials = (struct sh_tcp_dials){.owner = &wifi->owner, .done = on_dialled, .user = j};
    j->next = event_new(wifi->base, -1, 0, on_next, j);
    if (!j->next) {
        free(j);
        return SH_ENV_NO_MEMORY;
    }
    *ret_join = j;
    return SH_OK;
}

void sh_wifi_join_free(struct sh_wifi_join *j)
{
    if (!j)
        return;
    sh_wifi_join_rest(j);
    event_free(j->next);
    sh_wipe(&j->group, sizeof(j->group));
    free(j);
}
