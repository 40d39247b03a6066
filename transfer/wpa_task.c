/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wpa_task.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "proto/log.h"

#define SCANS       3 /* for the group's owner, before a P2P client gives up */
#define SCAN_MS     1500
#define NOT_FOUNDS  3 /* and no more */
#define REJECTS     2
#define COMMAND_MAX 192
#define FULL        17 /* IEEE 802.11-2020 table 9-50: the access point cannot take more stations */

#define OWN     (1U << SH_WPA_OWN)
#define SECOND  (1U << SH_WPA_SECOND)
#define CLIENT  (1U << SH_WPA_CLIENT)
#define STATION (1U << SH_WPA_STATION)
#define P2P     (OWN | CLIENT)
#define JOINS   (SECOND | STATION)
#define ALL     (P2P | JOINS)

struct sh_wpa_task {
    enum sh_wpa_task_kind kind;
    struct sh_wifi_group group;
    const struct sh_wpa_task_ops *ops;
    void *user;
    size_t step; /* of the table; its count: up */
    bool begun, over, started;
    bool early; /* the group was up before the command for it was answered */
    bool asked; /* this step's command is on its way */
    sh_ms deadline, wait_until;
    unsigned scans, not_founds, rejects;
    char device[18]; /* the owner's P2P device address; "": not known */
    char iface[SH_WPA_NAME];
    unsigned networks[SH_WPA_NETWORKS]; /* ours */
    size_t network_count;
    unsigned enabled[SH_WPA_NETWORKS];
    size_t enabled_count;
    enum sh_cause seen; /* the most telling cause so far */
};

/* ---- Commands ---- */

/* Each writes its command; false: there is nothing to say here. */
typedef bool (*build_fn)(const struct sh_wpa_task *t, char *out);

static void say(char *out, const char *format, ...) SH_PRINTF(2, 3);
static void say(char *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out, COMMAND_MAX, format, args);
    va_end(args);
}

static unsigned id_of(const struct sh_wpa_task *t)
{
    return t->networks[0];
}

static bool build_scan(const struct sh_wpa_task *t, char *out)
{
    say(out, "SCAN TYPE=ONLY freq=%u", t->group.frequency_mhz);
    return true;
}

static void address_text(const uint8_t a[6], char out[18])
{
    (void)snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool build_find(const struct sh_wpa_task *t, char *out)
{
    char address[18];
    address_text(t->group.bssid, address);
    say(out, "BSS %s", address);
    return true;
}

static bool build_status(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    say(out, "STATUS");
    return true;
}

static bool build_list(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    say(out, "LIST_NETWORKS");
    return true;
}

static bool build_add(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    say(out, "ADD_NETWORK");
    return true;
}

static bool build_ssid(const struct sh_wpa_task *t, char *out)
{
    char hex[2 * sizeof(t->group.ssid) + 1];
    sh_hex(t->group.ssid, t->group.ssid_len, hex);
    say(out, "SET_NETWORK %u ssid %s", id_of(t), hex);
    return true;
}

static bool build_psk(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u psk \"%s\"", id_of(t), t->group.passphrase);
    return true;
}

static bool build_mode(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u mode 3", id_of(t));
    return true;
}

static bool build_disabled(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u disabled 2", id_of(t));
    return true;
}

/* A persistent group is known by its owner's device address; without it wpa_supplicant keeps a copy of its own. */
static bool build_bssid(const struct sh_wpa_task *t, char *out)
{
    char address[18];
    if (t->kind == SH_WPA_OWN || t->kind == SH_WPA_CLIENT) {
        say(out, "SET_NETWORK %u bssid %s", id_of(t), t->device);
        return t->device[0] != '\0';
    }
    address_text(t->group.bssid, address);
    say(out, "SET_NETWORK %u bssid %s", id_of(t), address);
    return true;
}

static bool build_key_mgmt(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u key_mgmt WPA-PSK", id_of(t));
    return true;
}

static bool build_proto(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u proto RSN", id_of(t));
    return true;
}

static bool build_pairwise(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u pairwise CCMP", id_of(t));
    return true;
}

static bool build_scan_freq(const struct sh_wpa_task *t, char *out)
{
    say(out, "SET_NETWORK %u scan_freq %u", id_of(t), t->group.frequency_mhz);
    return true;
}

static bool build_interval(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    say(out, "SCAN_INTERVAL 1");
    return true;
}

static bool build_group(const struct sh_wpa_task *t, char *out)
{
    say(out, "P2P_GROUP_ADD persistent=%u freq=%u", id_of(t), t->group.frequency_mhz);
    return true;
}

static bool build_select(const struct sh_wpa_task *t, char *out)
{
    say(out, "SELECT_NETWORK %u", id_of(t));
    return true;
}

/* ---- Replies ---- */

static void finish(struct sh_wpa_task *t, enum sh_cause cause);
static void go_to(struct sh_wpa_task *t, size_t step);
static size_t step_of(build_fn build);

static struct sh_bytes ssid_of(const struct sh_wpa_task *t)
{
    return SH_BYTES(t->group.ssid, t->group.ssid_len);
}

static void take_device(struct sh_wpa_task *t, struct sh_bytes reply, const char *key)
{
    char text[18];
    uint8_t address[6];
    if (sh_wpa_value(reply, key, text, sizeof(text)) && sh_wpa_address(text, address))
        address_text(address, t->device);
}

/* Each says whether the step is done well. */
typedef bool (*take_fn)(struct sh_wpa_task *t, struct sh_bytes reply);

static bool take_ok(struct sh_wpa_task *t SH_UNUSED, struct sh_bytes reply)
{
    return sh_wpa_is_ok(reply);
}

static bool take_started(struct sh_wpa_task *t, struct sh_bytes reply)
{
    t->started = sh_wpa_is_ok(reply);
    t->deadline = 0; /* begins anew: what went before was talk */
    if (t->started && (t->kind == SH_WPA_OWN || t->kind == SH_WPA_CLIENT))
        t->ops->group(t->user);
    return t->started;
}

static bool take_found(struct sh_wpa_task *t, struct sh_bytes reply)
{
    char address[18];
    take_device(t, reply, "p2p_device_addr"); /* a wpa_supplicant without P2P does not tell it */
    return sh_wpa_value(reply, "bssid", address, sizeof(address));
}

/* Names the P2P device address of a wpa_supplicant that has P2P. One in which it is switched off takes the command for a group all the
 * same, and nothing comes of it. */
static bool take_status(struct sh_wpa_task *t, struct sh_bytes reply)
{
    char text[18], state[32];
    if (sh_wpa_value(reply, "wpa_state", state, sizeof(state)) &&
        !sh_wpa_value(reply, "p2p_device_address", text, sizeof(text)))
        finish(t, sh_fail(SH_WIFI_NO_P2P, "wpa_supplicant has P2P switched off"));
    else if (t->kind == SH_WPA_OWN)
        take_device(t, reply, "p2p_device_address");
    return true;
}

static bool take_added(struct sh_wpa_task *t, struct sh_bytes reply)
{
    if (!sh_wpa_number(reply, &t->networks[0]))
        return false;
    t->network_count = 1;
    return true;
}

static bool take_enabled(struct sh_wpa_task *t, struct sh_bytes reply)
{
    struct sh_wpa_network list[SH_WPA_NETWORKS];
    size_t n = sh_wpa_networks(reply, ssid_of(t), list);
    for (size_t i = 0; i < n; i++) {
        if (list[i].enabled && !list[i].ours)
            t->enabled[t->enabled_count++] = list[i].id;
    }
    return true;
}

/* What wpa_supplicant stored under our name is ours to remove. */
static bool take_stored(struct sh_wpa_task *t, struct sh_bytes reply)
{
    struct sh_wpa_network list[SH_WPA_NETWORKS];
    size_t n = sh_wpa_networks(reply, ssid_of(t), list);
    for (size_t i = 0; i < n; i++) {
        if (list[i].ours && list[i].id != t->networks[0] && t->network_count < SH_WPA_NETWORKS)
            t->networks[t->network_count++] = list[i].id;
    }
    return true;
}

/* ---- The table ---- */

struct step {
    const char *name;
    unsigned kinds;
    bool p2p;          /* whom it is asked of */
    build_fn build;    /* NULL: waits for an event */
    take_fn take;      /* of the reply */
    bool optional;     /* goes on without */
    unsigned limit_ms; /* of an optional wait */
};

static const struct step steps[] = {
    {"status", P2P, true, build_status, take_status, true, 0},
    {"scan", CLIENT, false, build_scan, take_ok, true, 0},
    {"scanned", CLIENT, false, NULL, NULL, true, SCAN_MS},
    {"find", CLIENT, false, build_find, take_found, true, 0},
    {"networks", STATION, false, build_list, take_enabled, true, 0},
    {"add", ALL, true, build_add, take_added, false, 0},
    {"ssid", ALL, true, build_ssid, take_ok, false, 0},
    {"psk", ALL, true, build_psk, take_ok, false, 0},
    {"mode", OWN, true, build_mode, take_ok, false, 0},
    {"disabled", P2P, true, build_disabled, take_ok, false, 0},
    {"bssid", ALL, true, build_bssid, take_ok, false, 0},
    {"key-mgmt", JOINS, true, build_key_mgmt, take_ok, false, 0},
    {"proto", JOINS, true, build_proto, take_ok, false, 0},
    {"pairwise", JOINS, true, build_pairwise, take_ok, false, 0},
    {"scan-freq", JOINS, true, build_scan_freq, take_ok, false, 0},
    {"interval", SECOND, true, build_interval, take_ok, true, 0},
    {"group", P2P, true, build_group, take_started, false, 0},
    {"select", JOINS, true, build_select, take_started, false, 0},
    {"wait", ALL, false, NULL, NULL, false, 0},
    {"stored", P2P, true, build_list, take_stored, true, 0},
};

static const unsigned limits[] = {SH_WPA_OWN_MS, SH_WPA_JOIN_MS, SH_WPA_CLIENT_MS, SH_WPA_JOIN_MS};
static const char *const kind_names[] = {"own", "second-station", "p2p-client", "station"};

static size_t step_of(build_fn build)
{
    size_t i = 0;
    while (i < SH_COUNT(steps) && steps[i].build != build)
        i++;
    return i;
}

static bool is_up(const struct sh_wpa_task *t)
{
    return t->step == SH_COUNT(steps);
}

static bool is_waiting(const struct sh_wpa_task *t, const char *name)
{
    return !is_up(t) && strcmp(steps[t->step].name, name) == 0;
}

/* ---- The end ---- */

static void finish(struct sh_wpa_task *t, enum sh_cause cause)
{
    if (t->over)
        return;
    t->over = true;
    sh_log("wpa %s: %s: over, %s", kind_names[t->kind], is_up(t) ? "up" : steps[t->step].name,
           sh_cause_info(cause)->name);
    t->ops->ended(cause, t->user);
}

static enum sh_cause or_else(const struct sh_wpa_task *t, enum sh_cause cause)
{
    return t->seen != SH_OK ? t->seen : cause;
}

static enum sh_cause refused(const struct sh_wpa_task *t)
{
    const char *step = steps[t->step].name;
    if (t->kind == SH_WPA_OWN)
        return sh_fail(or_else(t, SH_WIFI_GROUP_FAILED), "wpa_supplicant refused: %s", step);
    if (t->kind == SH_WPA_CLIENT && t->step == step_of(build_group))
        return sh_fail(SH_WIFI_NO_P2P, "wpa_supplicant refused: %s", step);
    return sh_fail(or_else(t, SH_WIFI_JOIN_REFUSED), "wpa_supplicant refused: %s", step);
}

/* ---- Steps ---- */

static void enter(struct sh_wpa_task *t)
{
    char command[COMMAND_MAX];
    while (!t->over && !is_up(t)) {
        const struct step *step = &steps[t->step];
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
    sh_log("wpa %s: %s -> %s", kind_names[t->kind], steps[t->step].name,
           step < SH_COUNT(steps) ? steps[step].name : "up");
    t->step = step;
    enter(t);
}

void sh_wpa_task_reply(struct sh_wpa_task *t, struct sh_bytes reply, sh_ms now SH_UNUSED)
{
    if (t->over || is_up(t) || !t->asked)
        return;
    const struct step *step = &steps[t->step];
    t->asked = false;
    bool well = step->take(t, reply);
    if (t->over)
        return;
    if (step->take == take_found && !well) {
        if (++t->scans < SCANS)
            go_to(t, step_of(build_scan));
        else
            finish(t, sh_fail(SH_WIFI_NOT_FOUND, "nobody on %u MHz", t->group.frequency_mhz));
        return;
    }
    if (!well && !step->optional)
        finish(t, refused(t));
    else
        go_to(t, t->step + 1);
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
    if (is_waiting(t, "scanned") && t->wait_until == SH_NEVER)
        t->wait_until = now + SCAN_MS;
    if (is_waiting(t, "scanned") && now >= t->wait_until) {
        go_to(t, t->step + 1);
    } else if (now >= t->deadline) {
        enum sh_cause late = t->kind == SH_WPA_OWN ? SH_WIFI_GROUP_FAILED : SH_WIFI_JOIN_TIMEOUT;
        finish(t, sh_fail(or_else(t, late), "time is up at step %s", steps[t->step].name));
    }
    if (t->over || is_up(t))
        return SH_NEVER;
    return is_waiting(t, "scanned") ? SH_MIN(t->deadline, t->wait_until) : t->deadline;
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

static bool is_our_group(const struct sh_wpa_task *t, const struct sh_wpa_event *event)
{
    if (event->kind != SH_WPA_GROUP_STARTED)
        return t->started && (!t->iface[0] || strcmp(t->iface, event->iface) == 0);
    for (size_t i = 0; i < t->group.ssid_len; i++) {
        uint8_t c = t->group.ssid[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            return event->owner == (t->kind == SH_WPA_OWN); /* was escaped */
    }
    return event->owner == (t->kind == SH_WPA_OWN) && strlen(event->ssid) == t->group.ssid_len &&
           memcmp(event->ssid, t->group.ssid, t->group.ssid_len) == 0;
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
        t->early = is_waiting(t, "group");
        if (is_waiting(t, "wait"))
            go_to(t, t->step + 1);
        break;
    case SH_WPA_GROUP_REMOVED:
        if (is_our_group(t, event))
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
    else if (is_waiting(t, "scanned") &&
             (event->kind == SH_WPA_SCAN_RESULTS || event->kind == SH_WPA_SCAN_FAILED))
        go_to(t, t->step + 1);
    else if (own && is_up(t) && is_end(t, event))
        finish(t,
               sh_fail(SH_WIFI_GROUP_LOST, "%s %s", sh_wpa_event_name(event->kind), event->reason));
    else if (own && is_waiting(t, "wait"))
        own_event(t, event);
    if (!t->over && t->kind != SH_WPA_SECOND && t->kind != SH_WPA_STATION)
        group_event(t, event);
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

void sh_wpa_task_undo(struct sh_wpa_task *t,
                      void (*tell)(bool p2p, const char *command, void *user), void *user)
{
    char command[COMMAND_MAX];
    t->over = true;
    if (t->started && t->iface[0]) {
        say(command, "P2P_GROUP_REMOVE %s", t->iface);
        tell(true, command, user);
    }
    for (size_t i = 0; i < t->network_count; i++) {
        say(command, "REMOVE_NETWORK %u", t->networks[i]);
        tell(true, command, user);
    }
    for (size_t i = 0; t->started && i < t->enabled_count; i++) {
        say(command, "ENABLE_NETWORK %u", t->enabled[i]);
        tell(true, command, user);
    }
    t->network_count = t->enabled_count = 0;
    t->started = false;
}
