/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/link_wifi_direct.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/slow.h"
#include "system/rfkill.h"
#include "transfer/wifi_internal.h"
#include "transfer/wifi_mark.h"
#include "transfer/wifi_nl.h"
#include "transfer/wifi_owner.h"

#define CONTROL_DIR "/run/wpa_supplicant"
#define FLUSH_MS    1000 /* closed streams still say their last words */
#define LOOK_MS     20

struct direct {
    struct sh_wifi wifi; /* first: a struct sh_link is its first */
    struct event *leaving;
    unsigned looks;
};

static struct sh_wifi *wifi_of(struct sh_link *link)
{
    return (struct sh_wifi *)link;
}

void sh_wifi_note(struct sh_wifi *wifi, const char *format, ...)
{
    char text[sizeof(wifi->said)];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (strcmp(text, wifi->said) == 0)
        return;
    memcpy(wifi->said, text, sizeof(wifi->said));
    sh_log("wifi: %s", text);
    if (wifi->note)
        wifi->note(text, wifi->link.user);
}

enum sh_cause sh_wifi_look(const struct sh_wifi *wifi, struct sh_wifi_radio *ret_radio,
                           const struct sh_wifi_iface **ret_station,
                           struct sh_wifi_run_config *ret_config)
{
    struct sh_rfkill states[SH_RFKILL_TYPES];
    SH_TRY(wifi->read(ret_radio));
    SH_TRY(sh_wifi_station(ret_radio, wifi->iface[0] ? wifi->iface : NULL, ret_station));
    sh_rfkill_read(NULL, states);
    const struct sh_wifi_phy *phy = sh_wifi_phy(ret_radio, (*ret_station)->phy);
    SH_TRY(sh_rfkill_cause(states, SH_RFKILL_WIFI, phy ? phy->name : NULL));
    *ret_config = (struct sh_wifi_run_config){.base = wifi->base,
                                              .control_dir = wifi->control_dir,
                                              .run_dir = wifi->run_dir,
                                              .station = **ret_station};
    for (size_t i = 0; i < ret_radio->iface_count; i++)
        ret_config->newest = SH_MAX(ret_config->newest, ret_radio->ifaces[i].ifindex);
    return SH_OK;
}

enum sh_cause sh_wifi_name_cause(const struct sh_wifi *wifi, enum sh_cause cause)
{
    return cause == SH_WIFI_NO_SUPPLICANT && wifi->iwd ? SH_WIFI_IWD : cause;
}

/* ---- Left-overs first ---- */

/* What is up is not swept under: then it waits until that is over. */
static bool is_ready(const struct sh_wifi *wifi)
{
    return wifi->asked && (wifi->swept || sh_wifi_join_runs(wifi->join));
}

static void begin(struct sh_wifi *wifi)
{
    if (!is_ready(wifi))
        return;
    if (wifi->anchor)
        sh_wifi_anchor_begin(wifi->anchor);
    sh_wifi_join_begin(wifi->join);
}

static void on_owner(bool iwd, void *user)
{
    struct sh_wifi *wifi = user;
    sh_wifi_owner_free(wifi->owner_asked);
    wifi->owner_asked = NULL;
    wifi->asked = true;
    wifi->iwd = iwd;
    begin(wifi);
}

static void on_swept(unsigned count, void *user)
{
    struct sh_wifi *wifi = user;
    if (count > 0)
        sh_wifi_note(wifi, "Wi-Fi Direct: removed what an earlier run left behind.");
    sh_wifi_sweep_free(wifi->sweep);
    wifi->sweep = NULL;
    wifi->swept = true;
    begin(wifi);
}

enum sh_cause sh_wifi_prepare(struct sh_wifi *wifi)
{
    if (!wifi->asked && !wifi->owner_asked)
        SH_TRY(sh_wifi_owner_ask(wifi->base, on_owner, wifi, &wifi->owner_asked));
    if (wifi->swept || wifi->sweep || sh_wifi_join_runs(wifi->join))
        return SH_OK;
    return sh_wifi_sweep_new(wifi->base, wifi->run_dir, wifi->read, on_swept, wifi, &wifi->sweep);
}

/* ---- Leaving, when the last words are said ---- */

static void leave(struct sh_wifi *wifi)
{
    if (wifi->anchor) { /* what was offered lives in it */
        wifi->link.ops->offered(&wifi->link, NULL, SH_OK, wifi->link.user);
        sh_wifi_anchor_free(wifi->anchor);
        wifi->anchor = NULL;
    }
    sh_wifi_join_rest(wifi->join);
}

static void on_leaving(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi leaving");
    static const struct timeval again = {.tv_usec = LOOK_MS * 1000};
    struct direct *direct = user;
    if (direct->wifi.owner.streams && ++direct->looks < FLUSH_MS / LOOK_MS)
        event_add(direct->leaving, &again);
    else
        leave(&direct->wifi);
}

static void leave_soon(struct direct *direct)
{
    if (event_pending(direct->leaving, EV_TIMEOUT, NULL))
        return;
    direct->looks = 0;
    event_active(direct->leaving, EV_TIMEOUT, 1);
}

/* ---- The driver ---- */

static enum sh_cause direct_listen(struct sh_link *link, struct sh_bytes seed)
{
    struct direct *direct = (struct direct *)link;
    struct sh_wifi *wifi = &direct->wifi;
    event_del(direct->leaving);
    if (wifi->anchor)
        return SH_OK;
    SH_TRY(sh_wifi_prepare(wifi));
    SH_TRY(sh_wifi_anchor_new(wifi, seed, &wifi->anchor));
    begin(wifi);
    return SH_OK;
}

static void direct_unlisten(struct sh_link *link)
{
    if (wifi_of(link)->anchor)
        leave_soon((struct direct *)link);
}

static enum sh_cause direct_dial(struct sh_link *link, const struct sh_attempt *attempt)
{
    struct direct *direct = (struct direct *)link;
    struct sh_wifi *wifi = &direct->wifi;
    event_del(direct->leaving);
    SH_TRY(sh_wifi_join_dial(wifi->join, attempt));
    enum sh_cause cause = sh_wifi_prepare(wifi); /* after it left what is of no use */
    if (cause != SH_OK)
        sh_wifi_join_cancel(wifi->join, attempt->id);
    else
        begin(wifi);
    return cause;
}

static void direct_cancel(struct sh_link *link, unsigned attempt)
{
    sh_wifi_join_cancel(wifi_of(link)->join, attempt);
}

static void direct_rest(struct sh_link *link)
{
    leave_soon((struct direct *)link);
}

static bool direct_busy(const struct sh_link *link)
{
    return ((const struct direct *)link)->wifi.owner.streams != NULL;
}

static void direct_free(struct sh_link *link)
{
    struct direct *direct = (struct direct *)link;
    struct sh_wifi *wifi = &direct->wifi;
    sh_wifi_sweep_free(wifi->sweep);
    sh_wifi_owner_free(wifi->owner_asked);
    sh_wifi_anchor_free(wifi->anchor);
    sh_wifi_join_free(wifi->join);
    sh_tcp_streams_detach(&wifi->owner);
    if (direct->leaving)
        event_free(direct->leaving);
    free(direct);
}

static enum sh_cause fill(struct direct *direct, const struct sh_wifi_direct_config *config)
{
    struct sh_wifi *wifi = &direct->wifi;
    const char *control_dir = config->control_dir ? config->control_dir : CONTROL_DIR;
    wifi->read = sh_wifi_nl_read;
    wifi->may_take_station = config->may_take_station;
    wifi->note = config->note;
    if (config->iface && !sh_strcopy(wifi->iface, sizeof(wifi->iface), config->iface))
        return sh_fail(SH_WIFI_ABSENT, "%s: not the name of an interface", config->iface);
    if (!sh_strcopy(wifi->control_dir, sizeof(wifi->control_dir), control_dir) ||
        !sh_strcopy(wifi->run_dir, sizeof(wifi->run_dir), config->run_dir))
        return sh_fail(SH_ENV_PERMISSION, "%s: the path is too long", config->run_dir);
    direct->leaving = event_new(wifi->base, -1, 0, on_leaving, direct);
    if (!direct->leaving)
        return SH_ENV_NO_MEMORY;
    return sh_wifi_join_new(wifi, &wifi->join);
}

enum sh_cause sh_link_wifi_direct_new(struct event_base *base,
                                      const struct sh_wifi_direct_config *config,
                                      const struct sh_link_ops *ops, void *user,
                                      struct sh_link **ret_link)
{
    static const struct sh_link_driver driver = {.kind = SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT,
                                                 .name = "wifi-direct",
                                                 .listen = direct_listen,
                                                 .unlisten = direct_unlisten,
                                                 .dial = direct_dial,
                                                 .cancel = direct_cancel,
                                                 .rest = direct_rest,
                                                 .busy = direct_busy,
                                                 .free = direct_free};
    struct direct *direct = calloc(1, sizeof(*direct));
    if (!direct)
        return SH_ENV_NO_MEMORY;
    direct->wifi.link = (struct sh_link){.driver = &driver, .ops = ops, .user = user};
    direct->wifi.base = base;
    direct->wifi.owner = (struct sh_tcp_owner){.base = base};
    enum sh_cause cause = fill(direct, config);
    if (cause != SH_OK) {
        direct_free(&direct->wifi.link);
        return cause;
    }
    *ret_link = &direct->wifi.link;
    return SH_OK;
}
