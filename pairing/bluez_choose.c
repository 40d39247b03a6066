/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pairing/bluez_objects.h"

void sh_bluez_describe(const struct sh_bluez_adapter *adapter, char out[SH_BLUEZ_WORDS])
{
    char slots[48] = "";
    bool le = adapter->roles & SH_BLUEZ_CENTRAL || (!adapter->roles_known && adapter->advertises);
    if (adapter->advertises)
        snprintf(slots, sizeof(slots), ", %u of %u advertising slots free", adapter->slots_free,
                 adapter->slots_free + adapter->slots_used);
    const char *power = adapter->powered ? "powered" : adapter->blocked ? "blocked" : "off";
    snprintf(out, SH_BLUEZ_WORDS, "%s (%s): %s, %s%s", adapter->name,
             adapter->address[0] ? adapter->address : "no address", power,
             le ? "Low Energy" : "no Low Energy", slots);
}

enum sh_cause sh_bluez_fits(const struct sh_bluez_adapter *adapter, unsigned roles)
{
    const char *name = adapter->name;
    if (adapter->roles_known && !(adapter->roles & SH_BLUEZ_CENTRAL))
        return sh_fail(SH_BLUETOOTH_NO_LE, "%s has no Low Energy", name);
    if (roles & SH_BLUEZ_PERIPHERAL && adapter->roles_known &&
        !(adapter->roles & SH_BLUEZ_PERIPHERAL))
        return sh_fail(SH_BLUETOOTH_NO_LE, "%s cannot be connected to", name);
    if (adapter->blocked)
        return sh_fail(SH_BLUETOOTH_RFKILL_SOFT, "%s is blocked", name);
    if (!adapter->powered)
        return sh_fail(SH_BLUETOOTH_OFF, "%s", name);
    if (roles & SH_BLUEZ_PERIPHERAL && !adapter->advertises)
        return sh_fail(SH_BLUETOOTH_DAEMON_OLD, "no %s on %s", SH_BLUEZ_ADV_MANAGER, name);
    if (roles & SH_BLUEZ_PERIPHERAL && adapter->slots_free == 0)
        return sh_fail(SH_BLUETOOTH_SLOTS_FULL, "%s: %u in use", name, adapter->slots_used);
    return SH_OK;
}

/* How near to fitting an adapter with this cause is. */
static unsigned nearness(enum sh_cause cause)
{
    static const enum sh_cause order[] = {SH_OK, SH_BLUETOOTH_SLOTS_FULL, SH_BLUETOOTH_OFF,
                                          SH_BLUETOOTH_RFKILL_SOFT, SH_BLUETOOTH_DAEMON_OLD};
    for (size_t i = 0; i < SH_COUNT(order); i++) {
        if (order[i] == cause)
            return (unsigned)(SH_COUNT(order) - i);
    }
    return 0;
}

/* The digits at the end: hci10 comes after hci9. */
static unsigned long number(const struct sh_bluez_adapter *adapter)
{
    return strtoul(adapter->name + strcspn(adapter->name, "0123456789"), NULL, 10);
}

enum sh_cause sh_bluez_choose(const struct sh_bluez *bluez, const char *wanted, unsigned roles,
                              const struct sh_bluez_adapter **ret_adapter)
{
    const struct sh_bluez_adapter *best = NULL;
    unsigned best_nearness = 0;
    if (wanted) {
        best = sh_bluez_adapter_find(bluez, wanted);
        if (!best)
            return sh_fail(SH_BLUETOOTH_NO_ADAPTER, "%s is not here", wanted);
    }
    for (size_t i = 0; !wanted && i < sh_bluez_adapter_count(bluez); i++) {
        const struct sh_bluez_adapter *adapter = sh_bluez_adapter_at(bluez, i);
        unsigned near = nearness(sh_bluez_fits(adapter, roles));
        bool better = !best || near > best_nearness;
        if (!better && near == best_nearness && adapter->slots_free != best->slots_free)
            better = adapter->slots_free > best->slots_free;
        else if (!better && near == best_nearness)
            better = number(adapter) < number(best);
        if (better) {
            best = adapter;
            best_nearness = near;
        }
    }
    sh_detail_clear();
    if (!best)
        return SH_BLUETOOTH_NO_ADAPTER;
    SH_TRY(sh_bluez_fits(best, roles));
    *ret_adapter = best;
    return SH_OK;
}
