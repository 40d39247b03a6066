/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a sync needs of Bluetooth: without any of it there is no sync, so these are problems. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "pairing/hci_probe.h"
#include "pairing/l2cap_socket.h"
#include "pairing/mgmt_packet.h"

#define BOTH (SH_BLUEZ_CENTRAL | SH_BLUEZ_PERIPHERAL)

static struct sh_finding check_kernel(struct sh_doctor *doctor SH_UNUSED)
{
    enum sh_cause cause = sh_l2cap_supported();
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    return sh_doctor_fine("L2CAP sockets can be made");
}

static struct sh_finding check_switch(struct sh_doctor *doctor)
{
    const struct sh_rfkill *states = sh_doctor_switches(doctor);
    const struct sh_rfkill *mine = &states[SH_RFKILL_BLUETOOTH];
    enum sh_cause cause = sh_rfkill_cause(states, SH_RFKILL_BLUETOOTH, NULL);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    if (mine->switches == 0)
        return sh_doctor_fine("no switch that says otherwise");
    if (mine->shut > 0)
        return sh_doctor_fine("%u of %u open; blocked: %s", mine->switches - mine->shut,
                              mine->switches, mine->blocked);
    return sh_doctor_fine("%u open", mine->switches);
}

static struct sh_finding check_bus(struct sh_doctor *doctor)
{
    const struct sh_doctor_bus *bus = sh_doctor_bus(doctor);
    if (bus->cause != SH_OK)
        return sh_doctor_told(SH_PROBLEM, bus->cause, bus->detail, NULL);
    return sh_doctor_fine("the system bus answers");
}

static struct sh_finding check_daemon(struct sh_doctor *doctor)
{
    const struct sh_doctor_bus *bus = sh_doctor_bus(doctor);
    if (bus->cause != SH_OK)
        return sh_doctor_nothing();
    if (!bus->bluetoothd)
        return sh_doctor_told(SH_PROBLEM, SH_BLUETOOTH_NO_DAEMON,
                              "nobody is " SH_BLUEZ_NAME " on the system bus", NULL);
    if (bus->objects_cause != SH_OK)
        return sh_doctor_told(SH_PROBLEM, bus->objects_cause, bus->objects_detail, NULL);
    size_t adapters = sh_bluez_adapter_count(bus->objects);
    if (adapters > 0 && (!bus->filters_known || !bus->duplicate_data))
        return sh_doctor_told(SH_PROBLEM, SH_BLUETOOTH_DAEMON_OLD,
                              "bluetoothd has no discovery filter DuplicateData", NULL);
    return sh_doctor_fine("answers; %zu adapter%s", adapters, adapters == 1 ? "" : "s");
}

/* The adapter that can both share and sync, else the one that can sync. NULL: bluetoothd has not shown any. */
static const struct sh_doctor_hci *choose(struct sh_doctor *doctor)
{
    const struct sh_doctor_bus *bus = sh_doctor_bus(doctor);
    struct sh_doctor_hci *hci = &doctor->hci;
    if (!bus->objects)
        return NULL;
    if (!hci->asked) {
        const char *wanted = doctor->common.adapter;
        hci->asked = true;
        hci->cause = sh_bluez_choose(bus->objects, wanted, BOTH, &hci->adapter);
        if (hci->cause != SH_OK)
            hci->cause = sh_bluez_choose(bus->objects, wanted, SH_BLUEZ_CENTRAL, &hci->adapter);
        snprintf(hci->detail, sizeof(hci->detail), "%s", sh_detail());
    }
    return hci;
}

static struct sh_finding check_adapter(struct sh_doctor *doctor)
{
    char words[SH_BLUEZ_WORDS];
    const struct sh_doctor_hci *hci = choose(doctor);
    if (!hci)
        return sh_doctor_nothing();
    if (hci->cause != SH_OK)
        return sh_doctor_told(SH_PROBLEM, hci->cause, hci->detail, NULL);
    sh_bluez_describe(hci->adapter, words);
    return sh_doctor_fine("%s", words);
}

static struct sh_finding check_advertising(struct sh_doctor *doctor)
{
    const struct sh_doctor_hci *hci = choose(doctor);
    if (!hci || !hci->adapter)
        return sh_doctor_nothing();
    enum sh_cause cause = sh_bluez_fits(hci->adapter, BOTH);
    if (cause == SH_OK)
        return sh_doctor_fine("%s: %u of %u slots free", hci->adapter->name,
                              hci->adapter->slots_free,
                              hci->adapter->slots_free + hci->adapter->slots_used);
    struct sh_finding f = sh_doctor_failed(SH_PROBLEM, cause, NULL);
    size_t n = strlen(f.text);
    snprintf(f.text + n, sizeof(f.text) - n, "; it can sync, but not share");
    return f;
}

static uint16_t index_of(const struct sh_bluez_adapter *adapter)
{
    return (uint16_t)strtoul(adapter->name + strcspn(adapter->name, "0123456789"), NULL, 10);
}

static struct sh_finding check_privacy(struct sh_doctor *doctor)
{
    uint32_t settings = 0;
    const struct sh_doctor_hci *hci = choose(doctor);
    if (!hci || !hci->adapter)
        return sh_doctor_nothing();
    enum sh_cause cause =
        sh_hci_probe_settings(index_of(hci->adapter), SH_DOCTOR_RADIO_MS, &settings);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_WARNING, cause, NULL);
    if (!(settings & SH_MGMT_PRIVACY))
        return sh_doctor_told(SH_WARNING, SH_BLUETOOTH_NO_PRIVACY, "", NULL);
    return sh_doctor_fine("%s uses private addresses", hci->adapter->name);
}

static struct sh_finding check_signal(struct sh_doctor *doctor)
{
    const struct sh_doctor_hci *hci = choose(doctor);
    if (!hci || !hci->adapter)
        return sh_doctor_nothing();
    enum sh_cause cause = sh_hci_probe_rssi(index_of(hci->adapter), SH_DOCTOR_RADIO_MS);
    if (cause == SH_OK)
        return sh_doctor_fine("%s answers Read RSSI", hci->adapter->name);
    if (!sh_doctor_has_net_admin())
        return sh_doctor_failed(
            SH_PROBLEM, cause,
            "Give the program the capability net_admin, or name another adapter "
            "with `--adapter`.");
    return sh_doctor_failed(
        SH_WARNING, cause,
        "Nothing to do: the kernel's slower values are used; nearness takes longer.");
}

const struct sh_check sh_doctor_bluetooth_checks[] = {
    {"bluetooth-kernel", check_kernel},
    {"bluetooth-switch", check_switch},
    {"bus", check_bus},
    {"bluetoothd", check_daemon},
    {"adapter", check_adapter},
    {"advertising", check_advertising},
    {"privacy", check_privacy},
    {"signal", check_signal},
    {0},
};
