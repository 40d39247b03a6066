/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Wi-Fi Direct needs: without it other links carry the transfer, so these are warnings. */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "transfer/wifi_nl.h"
#include "transfer/wpa_control.h"
#include "transfer/wpa_reply.h"

#define CONTROL_DIR "/run/wpa_supplicant"

/* Is a name in a list with commas? */
static bool in_list(const char *list, const char *name)
{
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (strlen(name) == n && strncmp(list, name, n) == 0)
            return true;
    }
    return false;
}

static bool wants(const struct sh_doctor *doctor, const char *link)
{
    const struct sh_common *common = &doctor->common;
    return !(common->wifi && strcmp(common->wifi, "none") == 0) &&
           (!common->links || in_list(common->links, link));
}

bool sh_doctor_wants_wifi(const struct sh_doctor *doctor)
{
    return wants(doctor, "wifi-direct");
}

bool sh_doctor_wants_lan(const struct sh_doctor *doctor)
{
    return wants(doctor, "lan");
}

static const struct sh_doctor_wifi *look(struct sh_doctor *doctor)
{
    struct sh_doctor_wifi *wifi = &doctor->wifi;
    if (wifi->asked)
        return wifi;
    wifi->asked = true;
    wifi->cause = sh_wifi_nl_read(&wifi->radio);
    if (wifi->cause == SH_OK)
        wifi->cause = sh_wifi_station(&wifi->radio, doctor->common.wifi, &wifi->station);
    snprintf(wifi->detail, sizeof(wifi->detail), "%s", sh_detail());
    return wifi;
}

/* The radio of the interface; NULL: none was found, and that was said. */
static const struct sh_wifi_phy *phy_of(struct sh_doctor *doctor)
{
    const struct sh_doctor_wifi *wifi = look(doctor);
    return wifi->station ? sh_wifi_phy(&wifi->radio, wifi->station->phy) : NULL;
}

/* ---- Radio ---- */

static struct sh_finding check_switch(struct sh_doctor *doctor)
{
    const struct sh_rfkill *states = sh_doctor_switches(doctor);
    const struct sh_rfkill *mine = &states[SH_RFKILL_WIFI];
    enum sh_cause cause = sh_rfkill_cause(states, SH_RFKILL_WIFI, NULL);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_WARNING, cause, NULL);
    if (mine->switches == 0)
        return sh_doctor_nothing();
    if (mine->shut > 0)
        return sh_doctor_fine("%u of %u open; blocked: %s", mine->switches - mine->shut,
                              mine->switches, mine->blocked);
    return sh_doctor_fine("%u open", mine->switches);
}

static struct sh_finding check_interface(struct sh_doctor *doctor)
{
    const struct sh_doctor_wifi *wifi = look(doctor);
    const struct sh_wifi_iface *station = wifi->station;
    if (!station)
        return sh_doctor_told(SH_WARNING, wifi->cause, wifi->detail, NULL);
    const struct sh_wifi_phy *phy = phy_of(doctor);
    if (station->mhz != 0)
        return sh_doctor_fine("%s of %s, in a network on %u MHz", station->name,
                              phy ? phy->name : "?", station->mhz);
    return sh_doctor_fine("%s of %s, %s", station->name, phy ? phy->name : "?",
                          station->up ? "in no network" : "down");
}

static struct sh_finding check_p2p(struct sh_doctor *doctor)
{
    const struct sh_wifi_phy *phy = phy_of(doctor);
    if (!phy)
        return sh_doctor_nothing();
    bool owner = phy->types & SH_WIFI_BIT(SH_WIFI_P2P_GO);
    bool client = phy->types & SH_WIFI_BIT(SH_WIFI_P2P_CLIENT);
    char text[128];
    snprintf(text, sizeof(text), "%s %s own a group and %s be a P2P client", phy->name,
             owner ? "can" : "cannot", client ? "can" : "cannot");
    if (owner && client)
        return sh_doctor_fine("%s", text);
    return sh_doctor_told(SH_WARNING, SH_WIFI_NO_P2P, text, NULL);
}

/* ---- Channels ---- */

static struct sh_finding check_channel(struct sh_doctor *doctor)
{
    uint32_t mhz = 0;
    const struct sh_wifi_phy *phy = phy_of(doctor);
    const struct sh_doctor_wifi *wifi = look(doctor);
    if (!phy || !(phy->types & SH_WIFI_BIT(SH_WIFI_P2P_GO)))
        return sh_doctor_nothing();
    enum sh_cause cause = sh_wifi_group_frequency(&wifi->radio, wifi->station, &mhz);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_WARNING, cause, NULL);
    return sh_doctor_fine("a group of ours would be on %u MHz; country %s", mhz,
                          wifi->radio.country[0] ? wifi->radio.country : "unknown");
}

/* The names of the ways into a group on this channel that keep the station's own network, and of that which does not. */
static size_t list_ways(const struct sh_doctor_wifi *wifi, uint32_t mhz, char *out, size_t size)
{
    size_t n = 0, kept = 0;
    out[0] = '\0';
    for (int way = 0; way < SH_WIFI_WAYS; way++) {
        if (sh_wifi_can_join(&wifi->radio, wifi->station, (enum sh_wifi_way)way, mhz) != SH_OK)
            continue;
        int more = snprintf(out + n, size - n, "%s%s", n ? ", " : "",
                            sh_wifi_way_name((enum sh_wifi_way)way));
        n = SH_MIN(n + (size_t)SH_MAX(more, 0), size - 1);
        kept += way != SH_WIFI_WAY_STATION;
    }
    return kept;
}

/* A channel that a group may well be on: that of our own network or another one. */
static uint32_t likely_channel(const struct sh_wifi_phy *phy, uint32_t other_than)
{
    static const uint16_t likely[] = {2412, 2437, 2462};
    for (size_t i = 0; i < SH_COUNT(likely); i++) {
        if (likely[i] != other_than && sh_wifi_may_own(phy, likely[i]))
            return likely[i];
    }
    return 0;
}

static struct sh_finding check_join(struct sh_doctor *doctor)
{
    char here[128], there[128] = "";
    const struct sh_wifi_phy *phy = phy_of(doctor);
    const struct sh_doctor_wifi *wifi = look(doctor);
    if (!phy)
        return sh_doctor_nothing();
    uint32_t own = wifi->station->mhz, other = likely_channel(phy, own);
    size_t kept = list_ways(wifi, own ? own : other, here, sizeof(here));
    if (here[0] == '\0')
        return sh_doctor_failed(SH_WARNING, SH_WIFI_NO_P2P, NULL);
    sh_detail_clear();
    if (own != 0 && other != 0 && list_ways(wifi, other, there, sizeof(there)) == 0 && kept > 0) {
        snprintf(there, sizeof(there),
                 "%s stays in its network only with a group on %u MHz as well", wifi->station->name,
                 own);
        return sh_doctor_told(SH_WARNING, SH_WIFI_CHANNEL_CONFLICT, there, NULL);
    }
    if (kept == 0)
        return sh_doctor_told(SH_WARNING, SH_WIFI_CHANNEL_CONFLICT,
                              "a group can only be joined instead of a network",
                              "Nothing to do while this device is in no network; else other links "
                              "carry the transfer.");
    return sh_doctor_fine("ways into a group: %s", here);
}

/* ---- wpa_supplicant ---- */

/* What it says of itself. */
struct status {
    struct event_base *base;
    bool answered, p2p;
    enum sh_cause cause;
    char detail[256];
};

static void on_event(struct sh_bytes datagram SH_UNUSED, void *user SH_UNUSED) {}

static void on_lost(enum sh_cause cause, void *user)
{
    struct status *status = user;
    status->cause = cause;
    snprintf(status->detail, sizeof(status->detail), "%s", sh_detail());
    event_base_loopbreak(status->base);
}

static void on_status(struct sh_bytes reply, void *user)
{
    struct status *status = user;
    char address[32];
    status->answered = true;
    status->p2p = sh_wpa_value(reply, "p2p_device_address", address, sizeof(address));
    event_base_loopbreak(status->base);
}

static enum sh_cause ask_status(const char *iface, struct status *status)
{
    static const struct sh_wpa_control_ops ops = {on_event, on_lost};
    struct sh_wpa_control *control = NULL;
    char path[sizeof(CONTROL_DIR) + SH_WIFI_NAME];
    snprintf(path, sizeof(path), CONTROL_DIR "/%s", iface);
    enum sh_cause cause = sh_wpa_control_open(status->base, path, false, &ops, status, &control);
    if (cause != SH_OK)
        return cause;
    sh_wpa_control_ask(control, "STATUS", on_status, status);
    event_base_dispatch(status->base); /* waits: answered, or lost after SH_WPA_ANSWER_MS */
    sh_wpa_control_free(control);
    if (status->answered)
        return SH_OK;
    return status->cause == SH_OK ? SH_ENV_NO_MEMORY : sh_fail(status->cause, "%s", status->detail);
}

static struct sh_finding no_supplicant(struct sh_doctor *doctor, enum sh_cause cause)
{
    const struct sh_doctor_bus *bus = sh_doctor_bus(doctor);
    if (cause != SH_WIFI_NO_SUPPLICANT)
        return sh_doctor_failed(SH_WARNING, cause, NULL);
    if (bus->iwd)
        return sh_doctor_told(SH_WARNING, SH_WIFI_IWD, "", NULL);
    return sh_doctor_failed(
        SH_WARNING, cause,
        bus->supplicant ? "Give wpa_supplicant a control socket: `-O \"DIR=/run/wpa_supplicant "
                          "GROUP=netdev\"`, as Debian's service does."
                        : NULL);
}

static struct sh_finding check_supplicant(struct sh_doctor *doctor)
{
    const struct sh_doctor_wifi *wifi = look(doctor);
    if (!wifi->station)
        return sh_doctor_nothing();
    struct status status = {.base = event_base_new()};
    enum sh_cause cause = status.base ? ask_status(wifi->station->name, &status) : SH_ENV_NO_MEMORY;
    if (status.base)
        event_base_free(status.base);
    if (cause != SH_OK)
        return no_supplicant(doctor, cause);
    if (!status.p2p)
        return sh_doctor_told(
            SH_WARNING, SH_WIFI_NO_P2P, "wpa_supplicant does no Wi-Fi Direct on this interface",
            "Take `p2p_disabled=1` out of its configuration, or do without: other "
            "links carry the transfer.");
    return sh_doctor_fine("wpa_supplicant answers for %s%s", wifi->station->name,
                          sh_doctor_bus(doctor)->network_manager ? "; NetworkManager runs" : "");
}

static struct sh_finding check_rights(struct sh_doctor *doctor)
{
    if (!look(doctor)->station)
        return sh_doctor_nothing();
    if (sh_doctor_has_net_admin())
        return sh_doctor_fine("may add interfaces and addresses (net_admin)");
    return sh_doctor_told(SH_WARNING, SH_WIFI_PERMISSION,
                          "this process has not the capability net_admin", NULL);
}

const struct sh_check sh_doctor_wifi_checks[] = {
    {"wifi-switch", check_switch}, {"wifi", check_interface},
    {"wifi-direct", check_p2p},    {"wifi-channel", check_channel},
    {"wifi-join", check_join},     {"wifi-supplicant", check_supplicant},
    {"wifi-rights", check_rights}, {0},
};
