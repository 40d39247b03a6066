/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"
#include "transfer/netif.h"
#include "transfer/wifi_internal.h"
#include "transfer/wifi_mark.h"
#include "transfer/wifi_nl.h"
#include "transfer/wpa_child.h"
#include "transfer/wpa_control.h"

#define OWN_IFACES  4 /* hop0 .. */
#define SOCKET_PATH 108
#define NEW_IFACES  64 /* numbers that are looked at for the group's */

enum news { NOTHING, IS_UP, IS_OVER };

struct sh_wifi_run {
    struct sh_wifi_run_config config;
    const struct sh_wifi_run_ops *ops;
    void *user;
    struct sh_wpa_task *task;
    /* One may be NULL: then the other is it. group: of the group's own interface. */
    struct sh_wpa_control *station, *p2p, *group;
    struct sh_wpa_child *child;
    struct sh_wifi_mark *mark;
    struct sh_wifi_mark_text text;
    struct sh_netif_watch *watch; /* of the interface that joins, or the group's */
    struct sh_netif_watch *station_watch;
    struct event *timer, *tell;
    uint32_t second; /* our own station interface; 0: none */
    struct sh_wifi_up up;
    bool is_up, answered;
    bool looking; /* a STATUS is on its way */
    bool unsaid;  /* a last word was not sent */
    bool guessed; /* wpa_supplicant may know a better cause, and has told it by now */
    enum news news;
    enum sh_cause cause;
    char detail[160];
};

static void end(struct sh_wifi_run *run, enum sh_cause cause)
{
    if (run->news == IS_OVER && !run->guessed)
        return;
    run->guessed = false;
    run->news = IS_OVER;
    run->cause = cause;
    (void)snprintf(run->detail, sizeof(run->detail), "%.159s", sh_detail()); /* until it is told */
    event_active(run->tell, EV_TIMEOUT, 1);
}

static bool is_removed(uint32_t ifindex)
{
    char name[IF_NAMESIZE];
    return ifindex > 0 && !if_indextoname(ifindex, name) && errno == ENXIO;
}

/* Whoever told what first: with the machine's own interface everything went, and with ours all that tried to join by it. */
static enum sh_cause over_cause(const struct sh_wifi_run *run)
{
    const struct sh_wifi_iface *station = &run->config.station;
    if (is_removed(station->ifindex))
        return sh_fail(SH_WIFI_GONE, "%s", station->name);
    if (!run->is_up && is_removed(run->second))
        return sh_fail(SH_WIFI_GONE, "%s", run->text.iface);
    return sh_fail(run->cause, "%s", run->detail);
}

/* From the top of the loop: the callee may free all. */
static void on_tell(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi run");
    struct sh_wifi_run *run = user;
    enum news news = run->news;
    if (news == IS_UP) {
        run->news = NOTHING;
        run->ops->up(&run->up, run->user);
    } else if (news == IS_OVER) {
        run->ops->ended(over_cause(run), run->user);
    }
}

static bool is_p2p(const struct sh_wifi_run *run)
{
    return run->config.kind == SH_WPA_OWN || run->config.kind == SH_WPA_CLIENT;
}

static void tick(struct sh_wifi_run *run)
{
    sh_ms now = sh_now(), next = sh_wpa_task_tick(run->task, now);
    sh_ms wait = next > now ? next - now : 0;
    if (next == SH_NEVER)
        wait = SH_WIFI_ALIVE_MS;
    const struct timeval after = {.tv_sec = (time_t)(wait / 1000),
                                  .tv_usec = (suseconds_t)(wait % 1000) * 1000};
    event_add(run->timer, &after);
}

static void mark(struct sh_wifi_run *run)
{
    if (run->mark && sh_wifi_mark_set(run->mark, &run->text) != SH_OK)
        sh_log("wifi: mark: %s", sh_detail());
}

/* ---- Interfaces that are removed before anything is up ---- */

static void on_station_removed(void *user)
{
    struct sh_wifi_run *run = user;
    end(run, sh_fail(SH_WIFI_GONE, "%s", run->config.station.name));
}

/* wpa_supplicant removes a group that it gives up, after it has said why: that may be read only behind this. */
static void on_removed(void *user)
{
    struct sh_wifi_run *run = user;
    if (run->news == IS_OVER)
        return;
    end(run, sh_fail(SH_WIFI_GONE, "%s", run->text.iface));
    run->guessed = is_p2p(run);
}

/* Without one the time-out says it, too. */
static void watch_removal(struct sh_wifi_run *run, uint32_t ifindex, void (*removed)(void *user),
                          struct sh_netif_watch **watch)
{
    if (*watch || ifindex == 0)
        return;
    if (sh_netif_watch_removal(run->config.base, ifindex, removed, run, watch) != SH_OK)
        sh_log("wifi: %s", sh_detail());
}

/* ---- Control sockets ---- */

static struct sh_wpa_control *control_for(const struct sh_wifi_run *run, bool p2p)
{
    if (p2p)
        return run->p2p ? run->p2p : run->station;
    return run->station ? run->station : run->p2p;
}

static void hear(struct sh_wifi_run *run, struct sh_bytes datagram, bool own)
{
    struct sh_wpa_event event;
    if (!run->task || !sh_wpa_event_parse(datagram, &event))
        return;
    sh_wpa_task_event(run->task, &event, own, sh_now());
    tick(run);
}

static void on_station_event(struct sh_bytes datagram, void *user)
{
    struct sh_wifi_run *run = user;
    hear(run, datagram, run->config.kind == SH_WPA_SECOND || run->config.kind == SH_WPA_STATION);
}

static void on_p2p_event(struct sh_bytes datagram, void *user)
{
    hear(user, datagram, false);
}

static void on_group_event(struct sh_bytes datagram, void *user)
{
    hear(user, datagram, true);
}

static void on_control_lost(enum sh_cause cause, void *user)
{
    end(user, cause);
}

static void on_group_lost(enum sh_cause cause SH_UNUSED, void *user)
{
    struct sh_wifi_run *run = user;
    sh_wpa_control_free(run->group);
    run->group = NULL;
    run->looking = false;
}

static const struct sh_wpa_control_ops station_ops = {.event = on_station_event,
                                                      .lost = on_control_lost};
static const struct sh_wpa_control_ops p2p_ops = {.event = on_p2p_event, .lost = on_control_lost};
static const struct sh_wpa_control_ops group_ops = {.event = on_group_event, .lost = on_group_lost};

static void on_alive(struct sh_bytes reply SH_UNUSED, void *user)
{
    ((struct sh_wifi_run *)user)->answered = true;
}

static void on_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi timer");
    struct sh_wifi_run *run = user;
    if (run->is_up && run->answered) {
        run->answered = false;
        sh_wpa_control_ask(control_for(run, true), "PING", on_alive, run);
    }
    tick(run);
}

/* ---- What the task asks ---- */

/* Selecting one network forbids the others: which ones stands in the mark before that. */
static void note_enabled(struct sh_wifi_run *run)
{
    unsigned enabled[SH_WPA_NETWORKS];
    size_t n = sh_wpa_task_enabled(run->task, enabled);
    if (n == run->text.enabled_count)
        return;
    memcpy(run->text.enabled, enabled, n * sizeof(enabled[0]));
    run->text.enabled_count = n;
    mark(run);
}

static void on_reply(struct sh_bytes reply, void *user)
{
    struct sh_wifi_run *run = user;
    sh_wpa_task_reply(run->task, reply, sh_now());
    note_enabled(run);
    tick(run);
}

static void task_ask(bool p2p, const char *command, void *user)
{
    struct sh_wifi_run *run = user;
    sh_wpa_control_ask(control_for(run, p2p), command, on_reply, run);
}

/* wpa_supplicant has made the group's interface and its control socket before it answered; which one it is shows by its number.
 * The kernel is not asked more than that: while an access point starts, the lock over interfaces may be held for long. A driver
 * that has no interface to spare makes the group on the station's own, which is never guessed: removing it would take the person's own
 * link. */
static bool find_group(struct sh_wifi_run *run)
{
    char path[SOCKET_PATH], name[IF_NAMESIZE];
    for (uint32_t i = run->config.newest + 1; i <= run->config.newest + NEW_IFACES; i++) {
        if (!if_indextoname(i, name) || strncmp(name, "p2p-", 4) != 0 ||
            snprintf(path, sizeof(path), "%s/%s", run->config.control_dir, name) >=
                (int)sizeof(path))
            continue;
        if (access(path, F_OK) == 0 && sh_strcopy(run->text.iface, SH_WPA_NAME, name)) {
            run->text.ifindex = i;
            sh_wpa_task_iface(run->task, name);
            return true;
        }
    }
    return false;
}

/* Its own events: what becomes of it. */
static void open_group(struct sh_wifi_run *run)
{
    char path[SOCKET_PATH];
    if (!run->group && run->text.iface[0] &&
        snprintf(path, sizeof(path), "%s/%s", run->config.control_dir, run->text.iface) <
            (int)sizeof(path) &&
        sh_wpa_control_open(run->config.base, path, true, &group_ops, run, &run->group) != SH_OK)
        sh_log("wifi: %s", sh_detail());
}

static void task_group(void *user)
{
    struct sh_wifi_run *run = user;
    const char *told = sh_wpa_task_group_iface(run->task); /* by an event that came first */
    if (told[0] && sh_strcopy(run->text.iface, sizeof(run->text.iface), told))
        run->text.ifindex = if_nametoindex(told);
    if (told[0] || find_group(run))
        mark(run);
    watch_removal(run, run->text.ifindex, on_removed, &run->watch);
    open_group(run);
}

static void on_group_status(struct sh_bytes reply, void *user)
{
    struct sh_wifi_run *run = user;
    run->looking = false;
    sh_wpa_task_status(run->task, run->text.iface, reply);
    tick(run);
}

static void on_station_status(struct sh_bytes reply, void *user)
{
    struct sh_wifi_run *run = user;
    run->looking = false;
    sh_wpa_task_status(run->task, run->config.station.name, reply);
    tick(run);
}

static void task_look(void *user)
{
    struct sh_wifi_run *run = user;
    struct sh_wpa_control *control = run->station;
    if (is_p2p(run) && !run->group)
        task_group(run);
    if (run->group)
        control = run->group;
    else if (run->config.kind == SH_WPA_CLIENT)
        control = NULL; /* a station's own link looks the same */
    if (run->looking || !control)
        return;
    run->looking = true;
    sh_wpa_control_ask(control, "STATUS", run->group ? on_group_status : on_station_status, run);
}

static void on_gone(void *user)
{
    struct sh_wifi_run *run = user;
    end(run, sh_fail(SH_WIFI_GROUP_LOST, "%s is gone or down", run->up.iface));
}

/* The station's own interface outlives us, and so would addresses on it. */
static void note_addresses(struct sh_wifi_run *run)
{
    const struct sh_wifi_up *up = &run->up;
    if (up->ifindex != run->config.station.ifindex ||
        !sh_strcopy(run->text.iface, sizeof(run->text.iface), up->iface))
        return;
    memcpy(run->text.addresses, up->addresses, sizeof(up->addresses));
    run->text.address_count = up->address_count;
    mark(run);
}

/* What wpa_supplicant told counts more than what was found. */
static void name_group(struct sh_wifi_run *run, const char *iface)
{
    if (strcmp(run->text.iface, iface) != 0) {
        on_group_lost(SH_OK, run);
        if (!sh_strcopy(run->text.iface, sizeof(run->text.iface), iface))
            run->text.iface[0] = '\0';
    }
    if (run->text.ifindex != run->up.ifindex) {
        run->text.ifindex = run->up.ifindex;
        mark(run);
    }
    open_group(run);
}

static void task_up(const char *iface, void *user)
{
    struct sh_wifi_run *run = user;
    struct sh_wifi_up *up = &run->up;
    const char *name = iface[0] ? iface : run->config.station.name;
    enum sh_cause cause = SH_OK;
    if (run->config.kind == SH_WPA_SECOND)
        name = run->text.iface;
    if (!sh_strcopy(up->iface, sizeof(up->iface), name) ||
        !sh_netif_find(name, &up->ifindex, up->bssid)) {
        end(run, sh_fail(SH_WIFI_GROUP_LOST, "%s is not there", name));
        return;
    }
    if (iface[0])
        name_group(run, iface);
    up->address_count = sh_netif_add_addresses(name, up->ifindex, up->addresses, &cause);
    note_addresses(run);
    sh_netif_watch_free(run->watch);
    run->watch = NULL;
    if (up->address_count > 0)
        cause = sh_netif_watch_new(run->config.base, up->ifindex, on_gone, run, &run->watch);
    if (cause != SH_OK) {
        end(run, cause);
        return;
    }
    run->is_up = run->answered = true;
    run->news = IS_UP;
    event_active(run->tell, EV_TIMEOUT, 1);
}

static void task_ended(enum sh_cause cause, void *user)
{
    end(user, cause);
}

static const struct sh_wpa_task_ops task_ops = {
    .ask = task_ask, .group = task_group, .look = task_look, .up = task_up, .ended = task_ended};

static enum sh_cause begin_task(struct sh_wifi_run *run)
{
    SH_TRY(sh_wpa_task_new(run->config.kind, &run->config.group, &task_ops, run, sh_now(),
                           &run->task));
    tick(run);
    return SH_OK;
}

/* ---- A second station interface ---- */

static void on_child_ready(const char *path, void *user)
{
    struct sh_wifi_run *run = user;
    enum sh_cause cause =
        sh_wpa_control_open(run->config.base, path, true, &station_ops, run, &run->station);
    if (cause == SH_OK)
        cause = begin_task(run);
    if (cause != SH_OK)
        end(run, cause);
}

static void on_child_ended(enum sh_cause cause, void *user)
{
    end(user, cause);
}

static const struct sh_wpa_child_ops child_ops = {.ready = on_child_ready, .ended = on_child_ended};

static enum sh_cause make_second(struct sh_wifi_run *run, unsigned number)
{
    (void)snprintf(run->text.iface, sizeof(run->text.iface), "hop%u", number);
    mark(run);
    return sh_wifi_nl_add_station(run->config.station.phy, run->text.iface, run->text.address,
                                  &run->second);
}

/* Two interfaces with one address never associate, so it has a random one, locally administered (IEEE 802-2014 section 8.4). Whether a
 * name is taken shows when it is wanted: the kernel looks for a module of each name that it does not know, which takes long. */
static enum sh_cause begin_second(struct sh_wifi_run *run)
{
    enum sh_cause cause = SH_WIFI_OWNED;
    SH_TRY(sh_random(run->text.address, sizeof(run->text.address)));
    run->text.address[0] = (uint8_t)((run->text.address[0] & 0xfc) | 0x02);
    for (unsigned i = 0; i < OWN_IFACES && cause == SH_WIFI_OWNED; i++)
        cause = make_second(run, i);
    SH_TRY(cause);
    watch_removal(run, run->second, on_removed, &run->watch);
    return sh_wpa_child_new(run->config.base, run->config.run_dir, run->text.iface, &child_ops, run,
                            &run->child);
}

/* ---- The system's wpa_supplicant ---- */

static enum sh_cause open_controls(struct sh_wifi_run *run)
{
    const struct sh_wifi_run_config *config = &run->config;
    char path[SOCKET_PATH] = "";
    if (snprintf(path, sizeof(path), "%s/p2p-dev-%s", config->control_dir, config->station.name) >=
        (int)sizeof(path))
        return sh_fail(SH_WIFI_NO_SUPPLICANT, "%s: too long", config->control_dir);
    /* wpa_supplicant cuts this name as if it were that of an interface. */
    size_t most = strlen(config->control_dir) + 1 + IF_NAMESIZE - 1;
    if (strlen(path) > most)
        path[most] = '\0';
    bool device = is_p2p(run) && access(path, F_OK) == 0;
    if (device) {
        SH_TRY(sh_wpa_control_open(config->base, path, true, &p2p_ops, run, &run->p2p));
        memcpy(run->text.control, path, sizeof(path));
    }
    if (device && config->kind == SH_WPA_OWN)
        return SH_OK;
    if (snprintf(path, sizeof(path), "%s/%s", config->control_dir, config->station.name) >=
        (int)sizeof(path))
        return sh_fail(SH_WIFI_NO_SUPPLICANT, "%s: too long", config->control_dir);
    SH_TRY(sh_wpa_control_open(config->base, path, true, &station_ops, run, &run->station));
    if (!device)
        memcpy(run->text.control, path, sizeof(path));
    return SH_OK;
}

static enum sh_cause begin(struct sh_wifi_run *run)
{
    const struct sh_wifi_group *group = &run->config.group;
    run->text.kind = run->config.kind;
    run->text.ssid_len = group->ssid_len;
    memcpy(run->text.ssid, group->ssid, group->ssid_len);
    run->timer = event_new(run->config.base, -1, 0, on_timer, run);
    run->tell = event_new(run->config.base, -1, 0, on_tell, run);
    if (!run->timer || !run->tell)
        return SH_ENV_NO_MEMORY;
    watch_removal(run, run->config.station.ifindex, on_station_removed, &run->station_watch);
    if (run->config.kind != SH_WPA_SECOND)
        SH_TRY(open_controls(run));
    SH_TRY(sh_wifi_mark_new(run->config.run_dir, &run->mark));
    mark(run);
    return run->config.kind == SH_WPA_SECOND ? begin_second(run) : begin_task(run);
}

enum sh_cause sh_wifi_run_new(const struct sh_wifi_run_config *config,
                              const struct sh_wifi_run_ops *ops, void *user,
                              struct sh_wifi_run **ret_run)
{
    struct sh_wifi_run *run = calloc(1, sizeof(*run));
    if (!run)
        return SH_ENV_NO_MEMORY;
    run->config = *config;
    run->ops = ops;
    run->user = user;
    enum sh_cause cause = begin(run);
    if (cause != SH_OK) {
        (void)sh_wifi_run_free(run);
        return cause;
    }
    *ret_run = run;
    return SH_OK;
}

static void last_word(bool p2p, const char *command, void *user)
{
    struct sh_wifi_run *run = user;
    struct sh_wpa_control *control = control_for(run, p2p);
    if (control && !sh_wpa_control_say(control, command))
        run->unsaid = true;
}

/* false: not all of it. */
static bool undo_task(struct sh_wifi_run *run)
{
    if (is_p2p(run) && !sh_wpa_task_group_iface(run->task)[0])
        (void)find_group(run); /* it may have come meanwhile */
    if (sh_wpa_task_undo(run->task, last_word, run) && !run->unsaid)
        return true;
    sh_log("wifi: something may be left, for a sweep");
    mark(run);
    return false;
}

bool sh_wifi_run_free(struct sh_wifi_run *run)
{
    if (!run)
        return true;
    bool all = !run->task || undo_task(run);
    if (run->text.address_count > 0)
        sh_netif_remove_addresses(run->up.ifindex, run->text.addresses, run->text.address_count);
    sh_netif_watch_free(run->watch);
    sh_netif_watch_free(run->station_watch);
    sh_wpa_control_free(run->station);
    sh_wpa_control_free(run->p2p);
    sh_wpa_control_free(run->group);
    sh_wpa_child_free(run->child);
    if (run->second != 0 && sh_wifi_nl_remove(run->second) != SH_OK)
        sh_log("wifi: %s", sh_detail());
    sh_wpa_task_free(run->task);
    if (all)
        sh_wifi_mark_free(run->mark);
    else
        sh_wifi_mark_leave(run->mark);
    if (run->timer)
        event_free(run->timer);
    if (run->tell)
        event_free(run->tell);
    sh_wipe(&run->config.group, sizeof(run->config.group));
    free(run);
    return all;
}
