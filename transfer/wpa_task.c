/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wpa_task.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "proto/log.h"
#include "transfer/wpa_steps.h"

#define SCANS      3 /* for the group's owner, before a P2P client gives up */
#define NOT_FOUNDS 3 /* and no more */
#define REJECTS    2
#define FULL       17 /* IEEE 802.11-2020 table 9-50: the access point cannot take more stations */

static const unsigned limits[] = {SH_WPA_OWN_MS, SH_WPA_JOIN_MS, SH_WPA_CLIENT_MS, SH_WPA_JOIN_MS};
static const char *const kind_names[] = {"own", "second-station", "p2p-client", "station"};

static bool is_up(const struct sh_wpa_task *t)
{
    return t->step == sh_wpa_step_count;
}

static bool is_p2p(const struct sh_wpa_task *t)
{
    return t->kind == SH_WPA_OWN || t->kind == SH_WPA_CLIENT;
}

static bool is_at(const struct sh_wpa_task *t, const char *name)
{
    return !is_up(t) && strcmp(sh_wpa_steps[t->step].name, name) == 0;
}

/* ---- The end ---- */

static void finish(struct sh_wpa_task *t, enum sh_cause cause)
{
    if (t->over)
        return;
    t->over = true;
    sh_log("wpa %s: %s: over, %s", kind_names[t->kind],
           is_up(t) ? "up" : sh_wpa_steps[t->step].name, sh_cause_info(cause)->name);
    t->ops->ended(cause, t->user);
}

static enum sh_cause or_else(const struct sh_wpa_task *t, enum sh_cause cause)
{
    return t->seen != SH_OK ? t->seen : cause;
}

static enum sh_cause refused(const struct sh_wpa_task *t)
{
    const char *step = sh_wpa_steps[t->step].name;
    if (t->kind == SH_WPA_OWN)
        return sh_fail(or_else(t, SH_WIFI_GROUP_FAILED), "wpa_supplicant refused: %s", step);
    if (t->kind == SH_WPA_CLIENT && is_at(t, "group"))
        return sh_fail(SH_WIFI_NO_P2P, "wpa_supplicant refused: %s", step);
    return sh_fail(or_else(t, SH_WIFI_JOIN_REFUSED), "wpa_supplicant refused: %s", step);
}

static bool is_waiting(const struct sh_wpa_task *t)
{
    return !is_up(t) && !sh_wpa_steps[t->step].build;
}

/* ---- Steps ---- */

static void enter(struct sh_wpa_task *t)
{
    char command[SH_WPA_COMMAND];
    while (!t->over && !is_up(t)) {
        const struct sh_wpa_step *step = &sh_wpa_steps[t->step];
        bool mine = (step->kinds & 1U << t->kind) != 0;
        if (mine && !step->build && !(t->early && step->limit_ms == 0)) {
            t->wait_until = SH_NEVER;
            return;
        }
        if (mine && step->build && step->build(t, command)) {
            t->asked = true;
            t->ops->ask(step->p2p, command, t->user);
            sh_wipe(command, sizeof(command));
            return;
        }
        t->step++;
    }
    if (!t->over) {
        sh_log("wpa %s: up", kind_names[t->kind]);
        t->ops->up(t->iface, t->user);
    }
}

static void go_to(struct sh_wpa_task *t, size_t step)
{
    if (t->over)
        return;
    sh_log("wpa %s: %s -> %s", kind_names[t->kind], sh_wpa_steps[t->step].name,
           step < sh_wpa_step_count ? sh_wpa_steps[step].name : "up");
    t->step = step;
    enter(t);
}

void sh_wpa_task_reply(struct sh_wpa_task *t, struct sh_bytes reply, sh_ms now SH_UNUSED)
{
    if (t->over || is_up(t) || !t->asked)
        return;
    const struct sh_wpa_step *step = &sh_wpa_steps[t->step];
    t->asked = false;
    bool well = step->take(t, reply);
    if (t->over)
        return;
    if (is_at(t, "find") && !well) {
        if (++t->scans < SCANS)
            go_to(t, sh_wpa_step_of("scan"));
        else
            finish(t, sh_fail(SH_WIFI_NOT_FOUND, "nobody on %u MHz", t->group.frequency_mhz));
        return;
    }
    if (!well && !step->optional)
        finish(t, refused(t));
    else
        go_to(t, t->step + 1);
}

/* One that does not answer is named as that: whoever asks it may have less time than its socket gives it. */
static void late(struct sh_wpa_task *t)
{
    const char *step = sh_wpa_steps[t->step].name;
    enum sh_cause cause = t->kind == SH_WPA_OWN ? SH_WIFI_GROUP_FAILED : SH_WIFI_JOIN_TIMEOUT;
    if (t->asked)
        finish(t,
               sh_fail(SH_WIFI_NO_SUPPLICANT, "wpa_supplicant did not answer in time: %s", step));
    else
        finish(t, sh_fail(or_else(t, cause), "time is up at step %s", step));
}

/* What is waited for takes so long that something else is to be done. */
static void waited(struct sh_wpa_task *t, sh_ms now)
{
    bool scan = is_at(t, "scanned");
    if (t->wait_until == SH_NEVER)
        t->wait_until = now + (scan ? SH_WPA_SCAN_MS : SH_WPA_LOOK_MS);
    if (now < t->wait_until)
        return;
    t->wait_until = SH_NEVER;
    if (scan) {
        go_to(t, t->step + 1);
        return;
    }
    t->wait_until = now + SH_WPA_LOOK_MS;
    t->ops->look(t->user);
}

sh_ms sh_wpa_task_tick(struct sh_wpa_task *t, sh_ms now)
{
    if (t->over)
        return SH_NEVER;
    if (!t->begun) {
        t->begun = true;
        enter(t);
    }
    if (t->deadline == 0)
        t->deadline = now + limits[t->kind];
    if (t->over || is_up(t))
        return SH_NEVER;
    if (now >= t->deadline)
        late(t);
    else if (is_waiting(t))
        waited(t, now);
    if (t->over || is_up(t))
        return SH_NEVER;
    return is_waiting(t) ? SH_MIN(t->deadline, t->wait_until) : t->deadline;
}

/* ---- Events ---- */

static void see(struct sh_wpa_task *t, enum sh_cause cause)
{
    if (t->seen == SH_OK || t->seen == SH_WIFI_NOT_FOUND)
        t->seen = cause;
}

static enum sh_cause reason_cause(const struct sh_wpa_event *event, enum sh_cause otherwise)
{
    static const struct {
        const char *reason;
        enum sh_cause cause;
    } reasons[] = {
        {"WRONG_KEY", SH_WIFI_WRONG_KEY},
        {"PSK_FAILURE", SH_WIFI_WRONG_KEY},
        {"FREQ_CONFLICT", SH_WIFI_CHANNEL_CONFLICT},
    };
    for (size_t i = 0; i < SH_COUNT(reasons); i++) {
        if (strcmp(event->reason, reasons[i].reason) == 0)
            return reasons[i].cause;
    }
    return otherwise;
}

/* wpa_supplicant escapes the others. */
static bool has_plain_name(const struct sh_wpa_task *t)
{
    for (size_t i = 0; i < t->group.ssid_len; i++) {
        uint8_t c = t->group.ssid[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            return false;
    }
    return true;
}

static bool is_our_name(const struct sh_wpa_task *t, const char *text)
{
    return strlen(text) == t->group.ssid_len && memcmp(text, t->group.ssid, t->group.ssid_len) == 0;
}

static bool is_our_group(const struct sh_wpa_task *t, const struct sh_wpa_event *event)
{
    if (event->kind != SH_WPA_GROUP_STARTED)
        return t->started && t->iface[0] && strcmp(t->iface, event->iface) == 0;
    return event->owner == (t->kind == SH_WPA_OWN) &&
           (!has_plain_name(t) || is_our_name(t, event->ssid));
}

/* Over by this event. */
static void finish_by(struct sh_wpa_task *t, const struct sh_wpa_event *event, enum sh_cause cause)
{
    finish(t, sh_fail(cause, "%s %s", sh_wpa_event_name(event->kind), event->reason));
}

static void rejected(struct sh_wpa_task *t, const struct sh_wpa_event *event)
{
    if (event->status == FULL) {
        finish(t, sh_fail(SH_WIFI_GROUP_FULL, "status 17"));
        return;
    }
    see(t, SH_WIFI_JOIN_REFUSED);
    if (++t->rejects >= REJECTS)
        finish(t, sh_fail(SH_WIFI_JOIN_REFUSED, "status %u", event->status));
}

/* Something of the interface itself, while its link is awaited. */
static void own_event(struct sh_wpa_task *t, const struct sh_wpa_event *event)
{
    bool owner = t->kind == SH_WPA_OWN;
    switch ((int)event->kind) {
    case SH_WPA_CONNECTED:
        if (t->kind == SH_WPA_SECOND || t->kind == SH_WPA_STATION)
            go_to(t, t->step + 1);
        break;
    case SH_WPA_ASSOC_REJECT:
    case SH_WPA_AUTH_REJECT:
        if (!owner)
            rejected(t, event);
        break;
    case SH_WPA_TEMP_DISABLED:
        if (!owner)
            finish_by(t, event, reason_cause(event, or_else(t, SH_WIFI_JOIN_REFUSED)));
        break;
    case SH_WPA_NETWORK_NOT_FOUND:
        see(t, SH_WIFI_NOT_FOUND);
        if (++t->not_founds >= NOT_FOUNDS)
            finish_by(t, event, SH_WIFI_NOT_FOUND);
        break;
    case SH_WPA_DISCONNECTED:
        if (t->kind != SH_WPA_STATION) /* its own network is left first */
            see(t, SH_WIFI_JOIN_REFUSED);
        break;
    case SH_WPA_AP_DISABLED:
    case SH_WPA_BEACON_FAILED:
        if (owner)
            finish(t, sh_fail(SH_WIFI_GROUP_FAILED, "the driver took no access point"));
        break;
    default: /* the others mean nothing here */
        break;
    }
}

static void group_event(struct sh_wpa_task *t, const struct sh_wpa_event *event)
{
    enum sh_cause failed = t->kind == SH_WPA_OWN ? SH_WIFI_GROUP_FAILED : SH_WIFI_JOIN_TIMEOUT;
    switch ((int)event->kind) {
    case SH_WPA_GROUP_STARTED:
        if (!is_our_group(t, event))
            break;
        sh_wpa_task_iface(t, event->iface);
        t->early = is_at(t, "group");
        if (is_at(t, "wait"))
            go_to(t, t->step + 1);
        break;
    case SH_WPA_GROUP_REMOVED:
        if (!is_our_group(t, event))
            break;
        t->started = false; /* its interface may be a station's again */
        finish_by(t, event,
                  reason_cause(event, is_up(t) ? SH_WIFI_GROUP_LOST : or_else(t, failed)));
        break;
    case SH_WPA_GROUP_FORMATION_FAILURE:
    case SH_WPA_GO_NEG_FAILURE:
        if (t->started && !is_up(t))
            finish_by(t, event, or_else(t, failed));
        break;
    case SH_WPA_FREQ_CONFLICT:
        see(t, SH_WIFI_CHANNEL_CONFLICT);
        break;
    default:
        break;
    }
}

static bool is_end(const struct sh_wpa_task *t, const struct sh_wpa_event *event)
{
    return t->kind == SH_WPA_OWN
               ? event->kind == SH_WPA_AP_DISABLED || event->kind == SH_WPA_BEACON_FAILED
               : event->kind == SH_WPA_DISCONNECTED;
}

void sh_wpa_task_event(struct sh_wpa_task *t, const struct sh_wpa_event *event, bool own,
                       sh_ms now SH_UNUSED)
{
    if (t->over || !t->begun)
        return;
    if (event->kind != SH_WPA_OTHER)
        sh_log("wpa %s: %s%s %s", kind_names[t->kind], own ? "" : "(p2p) ",
               sh_wpa_event_name(event->kind), event->reason);
    if (event->kind == SH_WPA_TERMINATING)
        finish(t, own && (t->kind == SH_WPA_OWN || t->kind == SH_WPA_CLIENT)
                      ? SH_WIFI_GROUP_LOST
                      : sh_fail(SH_WIFI_NO_SUPPLICANT, "wpa_supplicant ended"));
    else if (is_at(t, "scanned") &&
             (event->kind == SH_WPA_SCAN_RESULTS || event->kind == SH_WPA_SCAN_FAILED))
        go_to(t, t->step + 1);
    else if (own && is_up(t) && is_end(t, event))
        finish(t,
               sh_fail(SH_WIFI_GROUP_LOST, "%s %s", sh_wpa_event_name(event->kind), event->reason));
    else if (own && is_at(t, "wait"))
        own_event(t, event);
    if (!t->over && is_p2p(t))
        group_event(t, event);
}

void sh_wpa_task_status(struct sh_wpa_task *t, const char *iface, struct sh_bytes status)
{
    char state[32], mode[32], name[33];
    const char *wanted = t->kind == SH_WPA_OWN ? "P2P GO" : "station"; /* and so a P2P client */
    if (t->over || !is_at(t, "wait") || !sh_wpa_value(status, "wpa_state", state, sizeof(state)) ||
        strcmp(state, "COMPLETED") != 0 || !sh_wpa_value(status, "mode", mode, sizeof(mode)) ||
        strcmp(mode, wanted) != 0 || !sh_wpa_value(status, "ssid", name, sizeof(name)) ||
        !has_plain_name(t) || !is_our_name(t, name))
        return;
    sh_log("wpa %s: up without an event", kind_names[t->kind]);
    if (is_p2p(t))
        sh_wpa_task_iface(t, iface);
    go_to(t, t->step + 1);
}

void sh_wpa_task_end(struct sh_wpa_task *t, enum sh_cause cause)
{
    finish(t, cause);
}

/* ---- Life ---- */

enum sh_cause sh_wpa_task_new(enum sh_wpa_task_kind kind, const struct sh_wifi_group *group,
                              const struct sh_wpa_task_ops *ops, void *user, sh_ms now,
                              struct sh_wpa_task **ret_task)
{
    struct sh_wpa_task *t = calloc(1, sizeof(*t));
    if (!t)
        return SH_ENV_NO_MEMORY;
    *t = (struct sh_wpa_task){.kind = kind,
                              .group = *group,
                              .ops = ops,
                              .user = user,
                              .deadline = now + limits[kind],
                              .seen = SH_OK};
    *ret_task = t;
    return SH_OK;
}

void sh_wpa_task_free(struct sh_wpa_task *t)
{
    if (!t)
        return;
    sh_wipe(t, sizeof(*t));
    free(t);
}

void sh_wpa_task_iface(struct sh_wpa_task *t, const char *iface)
{
    if (!sh_strcopy(t->iface, sizeof(t->iface), iface))
        sh_log("wpa: the interface's name is too long");
}

const char *sh_wpa_task_group_iface(const struct sh_wpa_task *t)
{
    return t->iface;
}

size_t sh_wpa_task_enabled(const struct sh_wpa_task *t, unsigned out[SH_WPA_NETWORKS])
{
    memcpy(out, t->enabled, t->enabled_count * sizeof(out[0]));
    return t->enabled_count;
}

bool sh_wpa_task_undo(struct sh_wpa_task *t,
                      void (*tell)(bool p2p, const char *command, void *user), void *user)
{
    char command[SH_WPA_COMMAND];
    bool unanswered = t->asked && is_at(t, "group");
    bool named = !is_p2p(t) || !t->started || t->iface[0];
    t->over = true;
    if (is_p2p(t) && (t->started || unanswered) && t->iface[0]) {
        sh_wpa_say(command, "P2P_GROUP_REMOVE %s", t->iface);
        tell(true, command, user);
    }
    for (size_t i = 0; i < t->network_count; i++) {
        sh_wpa_say(command, "REMOVE_NETWORK %u", t->networks[i]);
        tell(true, command, user);
    }
    for (size_t i = 0; t->started && i < t->enabled_count; i++) {
        sh_wpa_say(command, "ENABLE_NETWORK %u", t->enabled[i]);
        tell(true, command, user);
    }
    t->network_count = t->enabled_count = 0;
    t->started = t->asked = false;
    return named && !unanswered;
}
