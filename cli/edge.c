/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/edge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pairing/ble_bluez.h"
#include "pairing/ble_sim.h"
#include "proto/log.h"
#include "proto/simhop.pb-c.h"
#include "system/clock.h"
#include "system/signals.h"
#include "transfer/link_wifi_direct.h"

#define QUIT_MS  200
#define FLUSH_MS 1200 /* as long as a closed stream keeps what waits in it, and a little */
#define LOOK_MS  1

/* ---- Names ---- */

static const char *const link_names[] = {
    [SIMHOP__LINK_KIND__LINK_KIND_BLE] = "ble",
    [SIMHOP__LINK_KIND__LINK_KIND_LAN] = "lan",
    [SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT] = "wifi-direct",
};
static const char *const device_names[] = {
    [SIMHOP__DEVICE_KIND__DEVICE_KIND_UNSPECIFIED] = "device",
    [SIMHOP__DEVICE_KIND__DEVICE_KIND_PHONE] = "phone",
    [SIMHOP__DEVICE_KIND__DEVICE_KIND_TABLET] = "tablet",
    [SIMHOP__DEVICE_KIND__DEVICE_KIND_LAPTOP] = "laptop",
    [SIMHOP__DEVICE_KIND__DEVICE_KIND_WATCH] = "watch",
    [SIMHOP__DEVICE_KIND__DEVICE_KIND_IOT] = "iot",
};

int sh_link_kind_by_name(const char *name, size_t len)
{
    for (size_t i = 0; i < SH_COUNT(link_names); i++) {
        if (link_names[i] && strlen(link_names[i]) == len && strncmp(link_names[i], name, len) == 0)
            return (int)i;
    }
    return 0;
}

const char *sh_link_kind_name(int kind)
{
    if (kind <= 0 || (size_t)kind >= SH_COUNT(link_names))
        return "";
    return link_names[kind];
}

int sh_device_kind_by_name(const char *name)
{
    for (size_t i = 1; i < SH_COUNT(device_names); i++) {
        if (strcmp(device_names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

const char *sh_device_kind_name(int kind)
{
    if (kind < 0 || (size_t)kind >= SH_COUNT(device_names))
        kind = 0;
    return device_names[kind];
}

/* ---- Opening ---- */

static bool has_link(const struct sh_edge *edge, int kind)
{
    for (size_t i = 0; i < edge->link_count; i++) {
        if (edge->links[i] == kind)
            return true;
    }
    return false;
}

static bool is_simulated(const struct sh_common *common)
{
    return common->radio && strncmp(common->radio, "sim:", 4) == 0;
}

/* "lan,ble": which links may be used. The fast ones in the order given; ble comes last, for it carries bytes only until another is
 * up. */
static enum sh_cause read_links(struct sh_edge *edge, const struct sh_common *common)
{
    const char *list = common->links;
    bool ble = false;
    if (!list) /* whoever plays on a simulated air does not want the machine's own Wi-Fi to be used unasked */
        list = is_simulated(common) ? "ble,lan" : "ble,lan,wifi-direct";
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        int kind = sh_link_kind_by_name(at, n);
        if (kind == 0 || has_link(edge, kind) || edge->link_count == SH_LINKS_MAX - 1)
            return sh_fail(SH_USAGE_BAD_OPTION,
                           "--links %s: some of ble,lan,wifi-direct, each once", list);
        if (kind == SIMHOP__LINK_KIND__LINK_KIND_BLE)
            ble = true;
        else
            edge->links[edge->link_count++] = kind;
        at += n + (at[n] == ',');
    }
    if (ble)
        edge->links[edge->link_count++] = SIMHOP__LINK_KIND__LINK_KIND_BLE;
    if (edge->link_count == 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "--links: no link is left");
    return SH_OK;
}

static void read_boot_id(struct sh_edge *edge)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file || !fgets(edge->boot_id, sizeof(edge->boot_id), file))
        snprintf(edge->boot_id, sizeof(edge->boot_id), "unknown");
    if (file)
        fclose(file);
    edge->boot_id[strcspn(edge->boot_id, "\n")] = '\0';
}

/* Faults and rates of the simulated air for the LAN link. */
static struct sh_shape sim_shape(void *user)
{
    struct sh_edge *edge = user;
    sh_air_files_refresh(edge->air, sh_now());
    struct sh_fault fault = sh_air_files_fault(edge->air, SH_FAULT_LAN);
    uint64_t rate = sh_air_files_air(edge->air)->lan_rate;
    if (fault.rate > 0 && (rate == 0 || fault.rate < rate))
        rate = fault.rate;
    /* In the file "after N" is a condition; here it is a fault of its own, and without it the fault is there at once. */
    return (struct sh_shape){.rate = rate,
                             .cut = fault.cut && fault.cut_after == 0,
                             .blackhole = fault.blackhole && fault.blackhole_after == 0,
                             .cut_after = fault.cut_after,
                             .blackhole_after = fault.blackhole_after,
                             .delay_ms = fault.delay_ms};
}

static enum sh_cause open_radio(struct sh_edge *edge, const struct sh_common *common,
                                const struct sh_ble_ops *ble_ops)
{
    const char *radio = common->radio ? common->radio : "bluez";
    edge->ref1m_dbm = NAN;
    if (strncmp(radio, "sim:", 4) == 0) {
        SH_TRY(sh_air_files_open(radio + 4, &edge->air));
        edge->ref1m_dbm = sh_air_files_air(edge->air)->tx1m_dbm;
        return sh_ble_sim_new(edge->base, edge->air, radio + 4, common->name, ble_ops, edge->user,
                              &edge->ble);
    }
    if (strcmp(radio, "bluez") == 0)
        return sh_ble_bluez_new(edge->base, common->adapter, ble_ops, edge->user, &edge->ble);
    return sh_fail(SH_USAGE_BAD_OPTION, "--radio %s: bluez or sim:DIR", radio);
}

/* Where marks of what has to be undone are kept: a folder that a restart of the machine empties, where there is one. */
static bool run_dir(const struct sh_common *common, char *out, size_t size)
{
    const char *given = getenv("RUNTIME_DIRECTORY"), *users = getenv("XDG_RUNTIME_DIR");
    int n = 0;
    if (given && given[0] == '/')
        n = snprintf(out, size, "%.*s", (int)strcspn(given, ":"), given);
    else if (geteuid() == 0)
        n = snprintf(out, size, "/run/simhop");
    else if (users && users[0] == '/')
        n = snprintf(out, size, "%s/simhop", users);
    else
        n = snprintf(out, size, "%s/run", common->state);
    return n > 0 && (size_t)n < size;
}

static enum sh_cause open_wifi(struct sh_edge *edge, const struct sh_common *common,
                               const struct sh_link_ops *link_ops)
{
    char folder[256];
    if (!run_dir(common, folder, sizeof(folder)))
        return sh_fail(SH_ENV_PERMISSION, "the path of the folder for run-time files is too long");
    const struct sh_wifi_direct_config config = {.iface = common->wifi,
                                                 .run_dir = folder,
                                                 .may_take_station = edge->ops->may_take_wifi,
                                                 .note = edge->ops->note};
    return sh_link_wifi_direct_new(edge->base, &config, link_ops, edge->user, &edge->wifi);
}

static void on_signal(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct sh_edge *edge = user;
    if (!sh_signals_take(fd))
        return;
    edge->ops->stop(SH_SESSION_INTERRUPTED, edge->user);
    sh_edge_wake(edge);
}

static void on_deadline(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_edge *edge = user;
    edge->ops->stop(SH_SESSION_DEADLINE, edge->user);
    sh_edge_wake(edge);
}

static void arm(struct sh_edge *edge, sh_ms wait)
{
    struct timeval tv = {.tv_sec = (time_t)(wait / 1000), .tv_usec = (long)(wait % 1000) * 1000};
    evtimer_add(edge->timer, &tv);
}

static void on_going(void *user)
{
    const struct sh_edge *edge = user;
    edge->ops->sleeps(edge->user);
}

static void on_woke(sh_ms slept, void *user)
{
    struct sh_edge *edge = user;
    edge->ops->slept(slept, edge->user);
    sh_edge_wake(edge);
}

static const struct sh_sleep_ops sleep_ops = {.going = on_going, .woke = on_woke};

static void on_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_edge *edge = user;
    if (edge->watchdog)
        sh_watchdog_alive(edge->watchdog);
    if (edge->sleep) { /* before anything is judged by the time */
        sh_sleep_look(edge->sleep);
        sh_sleep_moving(edge->sleep, edge->ops->moving(edge->user));
    }
    sh_ms now = sh_now(), next = edge->ops->tick(now, edge->user);
    if (edge->out)
        sh_output_push(edge->out);
    sh_ms after = sh_now(); /* it may have been at work for a while */
    sh_ms wait = next > after ? next - after : 0;
    arm(edge, SH_MIN(wait, (sh_ms)50));
}

static bool is_busy(const struct sh_edge *edge)
{
    return edge->ble->driver->busy(edge->ble) ||
           (edge->lan && edge->lan->driver->busy(edge->lan)) ||
           (edge->wifi && edge->wifi->driver->busy(edge->wifi));
}

static void look_in(struct sh_edge *edge, unsigned ms)
{
    const struct timeval tv = {.tv_usec = (suseconds_t)ms * 1000};
    evtimer_add(edge->quit, &tv);
}

static void on_quit(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_edge *edge = user;
    if (sh_now() >= edge->quit_by || !is_busy(edge))
        event_base_loopbreak(edge->base);
    else
        look_in(edge, LOOK_MS);
}

static enum sh_cause open_events(struct sh_edge *edge, const struct sh_common *common)
{
    SH_TRY(sh_signals_open(&edge->signal_fd, NULL));
    edge->signals = event_new(edge->base, edge->signal_fd, EV_READ | EV_PERSIST, on_signal, edge);
    edge->timer = evtimer_new(edge->base, on_timer, edge);
    edge->deadline = evtimer_new(edge->base, on_deadline, edge);
    edge->quit = evtimer_new(edge->base, on_quit, edge);
    if (!edge->signals || !edge->timer || !edge->deadline || !edge->quit ||
        event_add(edge->signals, NULL) != 0)
        return SH_ENV_NO_MEMORY;
    sh_ms left = sh_options_left(common);
    if (left != SH_NEVER) {
        struct timeval tv = {.tv_sec = (time_t)(left / 1000),
                             .tv_usec = (suseconds_t)(left % 1000) * 1000};
        evtimer_add(edge->deadline, &tv);
    }
    arm(edge, 0);
    return SH_OK;
}

/* libevent's usual clock goes in steps of up to 10 ms, by which every timer that is due in a moment would be late. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

enum sh_cause sh_edge_open(struct sh_edge *edge, const struct sh_common *common,
                           const struct sh_edge_ops *ops, const struct sh_ble_ops *ble_ops,
                           const struct sh_link_ops *link_ops, void *user)
{
    edge->ops = ops;
    edge->user = user;
    edge->wall = (int64_t)time(NULL);
    read_boot_id(edge);
    SH_TRY(read_links(edge, common));
    edge->base = new_base();
    if (!edge->base)
        return SH_ENV_NO_MEMORY;
    SH_TRY(open_events(edge, common));
    if (ops->moving)
        SH_TRY(sh_sleep_new(edge->base, &sleep_ops, edge, &edge->sleep));
    SH_TRY(open_radio(edge, common, ble_ops));
    if (common->wifi && strcmp(common->wifi, "none") == 0)
        return SH_OK;
    if (has_link(edge, SIMHOP__LINK_KIND__LINK_KIND_LAN))
        SH_TRY(sh_link_lan_new(edge->base, common->wifi, edge->air ? sim_shape : NULL, edge,
                               link_ops, user, &edge->lan));
    if (has_link(edge, SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT))
        return open_wifi(edge, common, link_ops);
    return SH_OK;
}

enum sh_cause sh_edge_explain(const struct sh_edge *edge, enum sh_cause cause)
{
    static const enum sh_cause vague[] = {SH_CONNECT_LOST,    SH_CONNECT_FAILED, SH_CONNECT_TIMEOUT,
                                          SH_NEAR_NO_SIGNAL,  SH_NEAR_NO_ANCHOR, SH_NEAR_TIMEOUT,
                                          SH_TRANSFER_STALLED};
    bool is_vague = false;
    for (size_t i = 0; i < SH_COUNT(vague); i++)
        is_vague = is_vague || vague[i] == cause;
    if (!is_vague || !edge->ble || !edge->ble->driver->state)
        return cause;
    char detail[256];
    bool kept = sh_strcopy(detail, sizeof(detail), sh_detail());
    enum sh_cause radio = edge->ble->driver->state(edge->ble);
    if (radio != SH_OK)
        return radio;
    return kept && detail[0] ? sh_fail(cause, "%s", detail) : cause;
}

bool sh_edge_adapter(const struct sh_edge *edge, char out[SH_ADAPTER_MAX + 1])
{
    const char *name = edge->ble ? edge->ble->driver->name : "";
    if (edge->ble && edge->ble->driver->adapter)
        name = edge->ble->driver->adapter(edge->ble);
    return sh_strcopy(out, SH_ADAPTER_MAX + 1, name) && out[0];
}

struct sh_link *sh_edge_link(const struct sh_edge *edge, int kind)
{
    if (kind == SIMHOP__LINK_KIND__LINK_KIND_LAN)
        return edge->lan;
    return kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT ? edge->wifi : NULL;
}

void sh_edge_close(struct sh_edge *edge)
{
    if (edge->wifi)
        edge->wifi->driver->free(edge->wifi);
    if (edge->lan)
        edge->lan->driver->free(edge->lan);
    if (edge->ble)
        edge->ble->driver->free(edge->ble);
    sh_air_files_close(edge->air);
    sh_sleep_free(edge->sleep);
    if (edge->signals)
        event_free(edge->signals);
    if (edge->signal_fd > 0)
        close(edge->signal_fd);
    if (edge->timer)
        event_free(edge->timer);
    if (edge->deadline)
        event_free(edge->deadline);
    if (edge->quit)
        event_free(edge->quit);
    if (edge->base)
        event_base_free(edge->base);
    *edge = (struct sh_edge){0};
}

/* On the watchdog's thread. */
static void on_kept(bool last, void *user)
{
    const struct sh_edge *edge = user;
    if (last)
        sh_output_kept_end(edge->out, "a call on files did not come back for 30 s");
    sh_output_kept(edge->out);
}

enum sh_cause sh_edge_run(struct sh_edge *edge, struct sh_output *out)
{
    edge->out = out;
    SH_TRY(sh_watchdog_new(SH_WATCHDOG_TICK_MS, on_kept, edge, &edge->watchdog));
    /* waits: the loop itself; its timer runs every deadline of the engines, and a signal ends it */
    int failed = event_base_dispatch(edge->base);
    sh_watchdog_free(edge->watchdog);
    edge->watchdog = NULL;
    return failed < 0 ? sh_fail(SH_INTERNAL_BUG, "the event loop failed") : SH_OK;
}

void sh_edge_quit(struct sh_edge *edge, bool cut_off)
{
    sh_ms by = sh_now() + (cut_off ? FLUSH_MS : QUIT_MS);
    if (edge->quit_by == 0 || by < edge->quit_by)
        edge->quit_by = by;
    look_in(edge, 0);
}

void sh_edge_wake(struct sh_edge *edge)
{
    arm(edge, 0);
}
