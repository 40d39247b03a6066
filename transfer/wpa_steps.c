/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wpa_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OWN     (1U << SH_WPA_OWN)
#define SECOND  (1U << SH_WPA_SECOND)
#define CLIENT  (1U << SH_WPA_CLIENT)
#define STATION (1U << SH_WPA_STATION)
#define P2P     (OWN | CLIENT)
#define JOINS   (SECOND | STATION)
#define ALL     (P2P | JOINS)

/* ---- Commands ---- */

void sh_wpa_say(char *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out, SH_WPA_COMMAND, format, args);
    va_end(args);
}

static unsigned id_of(const struct sh_wpa_task *t)
{
    return t->networks[0];
}

static bool build_scan(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SCAN TYPE=ONLY freq=%u", t->group.frequency_mhz);
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
    sh_wpa_say(out, "BSS %s", address);
    return true;
}

static bool build_status(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    sh_wpa_say(out, "STATUS");
    return true;
}

static bool build_list(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    sh_wpa_say(out, "LIST_NETWORKS");
    return true;
}

static bool build_add(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    sh_wpa_say(out, "ADD_NETWORK");
    return true;
}

static bool build_ssid(const struct sh_wpa_task *t, char *out)
{
    char hex[2 * sizeof(t->group.ssid) + 1];
    sh_hex(t->group.ssid, t->group.ssid_len, hex);
    sh_wpa_say(out, "SET_NETWORK %u ssid %s", id_of(t), hex);
    return true;
}

static bool build_psk(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u psk \"%s\"", id_of(t), t->group.passphrase);
    return true;
}

static bool build_mode(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u mode 3", id_of(t));
    return true;
}

static bool build_disabled(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u disabled 2", id_of(t));
    return true;
}

/* A persistent group is known by its owner's device address; without it wpa_supplicant keeps a copy of its own. */
static bool build_bssid(const struct sh_wpa_task *t, char *out)
{
    char address[18];
    if (t->kind == SH_WPA_OWN || t->kind == SH_WPA_CLIENT) {
        sh_wpa_say(out, "SET_NETWORK %u bssid %s", id_of(t), t->device);
        return t->device[0] != '\0';
    }
    address_text(t->group.bssid, address);
    sh_wpa_say(out, "SET_NETWORK %u bssid %s", id_of(t), address);
    return true;
}

static bool build_key_mgmt(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u key_mgmt WPA-PSK", id_of(t));
    return true;
}

static bool build_proto(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u proto RSN", id_of(t));
    return true;
}

static bool build_pairwise(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u pairwise CCMP", id_of(t));
    return true;
}

static bool build_scan_freq(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SET_NETWORK %u scan_freq %u", id_of(t), t->group.frequency_mhz);
    return true;
}

static bool build_interval(const struct sh_wpa_task *t SH_UNUSED, char *out)
{
    sh_wpa_say(out, "SCAN_INTERVAL 1");
    return true;
}

static bool build_group(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "P2P_GROUP_ADD persistent=%u freq=%u", id_of(t), t->group.frequency_mhz);
    return true;
}

static bool build_select(const struct sh_wpa_task *t, char *out)
{
    sh_wpa_say(out, "SELECT_NETWORK %u", id_of(t));
    return true;
}

/* ---- Replies ---- */

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
        sh_wpa_task_end(t, sh_fail(SH_WIFI_NO_P2P, "wpa_supplicant has P2P switched off"));
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

const struct sh_wpa_step sh_wpa_steps[] = {
    {"status", P2P, true, build_status, take_status, true, 0},
    {"scan", CLIENT, false, build_scan, take_ok, true, 0},
    {"scanned", CLIENT, false, NULL, NULL, true, SH_WPA_SCAN_MS},
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

const size_t sh_wpa_step_count = SH_COUNT(sh_wpa_steps);

size_t sh_wpa_step_of(const char *name)
{
    size_t i = 0;
    while (i < SH_COUNT(sh_wpa_steps) && strcmp(sh_wpa_steps[i].name, name) != 0)
        i++;
    return i;
}
