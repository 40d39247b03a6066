/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bluez_objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pairing/advert.h"
#include "pairing/bluez_read.h"

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define PROPERTIES     "org.freedesktop.DBus.Properties"

struct sh_bluez {
    struct sh_bluez_adapter adapters[SH_BLUEZ_ADAPTERS];
    size_t adapter_count;
    struct sh_bluez_device *devices;
    size_t device_count;
    uint64_t turn;
};

enum sh_cause sh_bluez_new(struct sh_bluez **ret_bluez)
{
    struct sh_bluez *bluez = calloc(1, sizeof(*bluez));
    if (!bluez)
        return SH_ENV_NO_MEMORY;
    bluez->devices = calloc(SH_BLUEZ_DEVICES, sizeof(*bluez->devices));
    if (!bluez->devices) {
        free(bluez);
        return SH_ENV_NO_MEMORY;
    }
    *ret_bluez = bluez;
    return SH_OK;
}

void sh_bluez_free(struct sh_bluez *bluez)
{
    if (bluez)
        free(bluez->devices);
    free(bluez);
}

void sh_bluez_clear(struct sh_bluez *bluez)
{
    bluez->adapter_count = 0;
    bluez->device_count = 0;
}

size_t sh_bluez_adapter_count(const struct sh_bluez *bluez)
{
    return bluez->adapter_count;
}

const struct sh_bluez_adapter *sh_bluez_adapter_at(const struct sh_bluez *bluez, size_t i)
{
    return i < bluez->adapter_count ? &bluez->adapters[i] : NULL;
}

const struct sh_bluez_adapter *sh_bluez_adapter_find(const struct sh_bluez *bluez, const char *name)
{
    for (size_t i = 0; i < bluez->adapter_count; i++) {
        const struct sh_bluez_adapter *adapter = &bluez->adapters[i];
        if (strcmp(adapter->path, name) == 0 || strcmp(adapter->name, name) == 0 ||
            (adapter->address[0] && strcasecmp(adapter->address, name) == 0))
            return adapter;
    }
    return NULL;
}

size_t sh_bluez_device_count(const struct sh_bluez *bluez)
{
    return bluez->device_count;
}

const struct sh_bluez_device *sh_bluez_device_at(const struct sh_bluez *bluez, size_t i)
{
    return i < bluez->device_count ? &bluez->devices[i] : NULL;
}

void sh_bluez_forget_rssi(struct sh_bluez *bluez)
{
    for (size_t i = 0; i < bluez->device_count; i++)
        bluez->devices[i].rssi_dbm = SH_BLUEZ_NO_RSSI;
}

/* ---- the tables ---- */

/* The adapter of this path, made if it is new. NULL when there is no room, or the path is too long. */
static struct sh_bluez_adapter *adapter_of(struct sh_bluez *bluez, const char *path, bool make)
{
    for (size_t i = 0; i < bluez->adapter_count; i++) {
        if (strcmp(bluez->adapters[i].path, path) == 0)
            return &bluez->adapters[i];
    }
    if (!make || bluez->adapter_count == SH_BLUEZ_ADAPTERS)
        return NULL;
    struct sh_bluez_adapter adapter = {.tx_power_min = SH_BLUEZ_NO_POWER,
                                       .tx_power_max = SH_BLUEZ_NO_POWER};
    const char *slash = strrchr(path, '/');
    if (!sh_strcopy(adapter.path, sizeof(adapter.path), path) ||
        !sh_strcopy(adapter.name, sizeof(adapter.name), slash ? slash + 1 : path))
        return NULL;
    bluez->adapters[bluez->adapter_count] = adapter;
    return &bluez->adapters[bluez->adapter_count++];
}

/* Of devices that are not ours the one heard of longest ago, or of ours if there are no others. */
static struct sh_bluez_device *device_to_forget(struct sh_bluez *bluez)
{
    struct sh_bluez_device *oldest = NULL;
    for (size_t i = 0; i < bluez->device_count; i++) {
        struct sh_bluez_device *device = &bluez->devices[i];
        bool ours = device->service_data_len > 0;
        bool oldest_ours = oldest && oldest->service_data_len > 0;
        if (!oldest || (oldest_ours && !ours) ||
            (oldest_ours == ours && device->turn < oldest->turn))
            oldest = device;
    }
    return oldest;
}

static struct sh_bluez_device *device_of(struct sh_bluez *bluez, const char *path, bool make)
{
    for (size_t i = 0; i < bluez->device_count; i++) {
        if (strcmp(bluez->devices[i].path, path) == 0)
            return &bluez->devices[i];
    }
    struct sh_bluez_device device = {.rssi_dbm = SH_BLUEZ_NO_RSSI};
    if (!make || !sh_strcopy(device.path, sizeof(device.path), path))
        return NULL;
    struct sh_bluez_device *place = bluez->device_count < SH_BLUEZ_DEVICES
                                        ? &bluez->devices[bluez->device_count++]
                                        : device_to_forget(bluez);
    *place = device;
    return place;
}

static bool adapter_drop(struct sh_bluez *bluez, const char *path)
{
    struct sh_bluez_adapter *adapter = adapter_of(bluez, path, false);
    if (!adapter)
        return false;
    struct sh_bluez_adapter *end = &bluez->adapters[--bluez->adapter_count];
    memmove(adapter, adapter + 1, (size_t)(end - adapter) * sizeof(*adapter));
    return true;
}

static void device_drop(struct sh_bluez *bluez, const char *path)
{
    struct sh_bluez_device *device = device_of(bluez, path, false);
    if (device)
        *device = bluez->devices[--bluez->device_count];
}

/* ---- properties ---- */

/* "AA:BB:CC:DD:EE:FF"; a text of another form stays "". */
static void read_address(sd_bus_message *m, char out[SH_BLUEZ_ADDRESS])
{
    const char *text = sh_bluez_read_text(m);
    if (!text || strlen(text) != SH_BLUEZ_ADDRESS - 1)
        return;
    for (size_t i = 0; i < SH_BLUEZ_ADDRESS - 1; i++) {
        bool colon = i % 3 == 2;
        if (colon ? text[i] != ':' : !strchr("0123456789abcdefABCDEF", text[i]))
            return;
    }
    memcpy(out, text, SH_BLUEZ_ADDRESS);
}

static void read_address_type(sd_bus_message *m, bool *ret_random)
{
    const char *type = sh_bluez_read_text(m);
    if (type)
        *ret_random = strcmp(type, "random") == 0;
}

static void adapter_roles(sd_bus_message *m, struct sh_bluez_adapter *adapter)
{
    unsigned roles = 0;
    if (!sh_bluez_enter(m, 'v', "as"))
        return;
    if (sh_bluez_enter(m, 'a', "s")) {
        for (const char *role = NULL; sd_bus_message_read_basic(m, 's', &role) > 0;) {
            if (strcmp(role, "central") == 0)
                roles |= SH_BLUEZ_CENTRAL;
            if (strcmp(role, "peripheral") == 0)
                roles |= SH_BLUEZ_PERIPHERAL;
        }
        sd_bus_message_exit_container(m);
    }
    sd_bus_message_exit_container(m);
    adapter->roles_known = true;
    adapter->roles = roles;
}

static void adapter_property(sd_bus_message *m, const char *key, void *user)
{
    struct sh_bluez_adapter *adapter = user;
    if (strcmp(key, "Address") == 0)
        read_address(m, adapter->address);
    else if (strcmp(key, "Powered") == 0)
        sh_bluez_read_bool(m, &adapter->powered);
    else if (strcmp(key, "Discovering") == 0)
        sh_bluez_read_bool(m, &adapter->discovering);
    else if (strcmp(key, "Roles") == 0)
        adapter_roles(m, adapter);
    else if (strcmp(key, "AddressType") == 0)
        read_address_type(m, &adapter->random);
    else if (strcmp(key, "PowerState") == 0) {
        const char *state = sh_bluez_read_text(m);
        if (state)
            adapter->blocked = strcmp(state, "off-blocked") == 0;
    }
}

/* Is one of the texts of the array this one? */
static void read_has(sd_bus_message *m, const char *wanted, bool *ret_has)
{
    if (!sh_bluez_enter(m, 'v', "as"))
        return;
    if (sh_bluez_enter(m, 'a', "s")) {
        *ret_has = false;
        for (const char *text = NULL; sd_bus_message_read_basic(m, 's', &text) > 0;)
            *ret_has = *ret_has || strcmp(text, wanted) == 0;
        sd_bus_message_exit_container(m);
    }
    sd_bus_message_exit_container(m);
}

static void capability(sd_bus_message *m, const char *key, void *user)
{
    struct sh_bluez_adapter *adapter = user;
    if (strcmp(key, "MaxAdvLen") == 0)
        sh_bluez_read_byte(m, &adapter->advert_max);
    else if (strcmp(key, "MinTxPower") == 0)
        sh_bluez_read_int16(m, &adapter->tx_power_min);
    else if (strcmp(key, "MaxTxPower") == 0)
        sh_bluez_read_int16(m, &adapter->tx_power_max);
}

static void manager_property(sd_bus_message *m, const char *key, void *user)
{
    struct sh_bluez_adapter *adapter = user;
    if (strcmp(key, "ActiveInstances") == 0)
        sh_bluez_read_byte(m, &adapter->slots_used);
    else if (strcmp(key, "SupportedInstances") == 0)
        sh_bluez_read_byte(m, &adapter->slots_free);
    else if (strcmp(key, "SupportedIncludes") == 0)
        read_has(m, "tx-power", &adapter->includes_tx_power);
    else if (strcmp(key, "SupportedFeatures") == 0)
        read_has(m, "CanSetTxPower", &adapter->can_set_tx_power);
    else if (strcmp(key, "SupportedCapabilities") == 0 && sh_bluez_enter(m, 'v', "a{sv}")) {
        sh_bluez_each_property(m, capability, adapter);
        sd_bus_message_exit_container(m);
    }
}

struct told {
    struct sh_bluez_device *device;
    bool rssi, service_data, disconnected;
};

static void service_data(sd_bus_message *m, const char *uuid, void *user)
{
    struct told *told = user;
    struct sh_bluez_device *device = told->device;
    if (strcasecmp(uuid, sh_advert_uuid_text) != 0 || !sh_bluez_enter(m, 'v', "ay"))
        return;
    const void *bytes = NULL;
    size_t n = 0;
    if (sd_bus_message_read_array(m, 'y', &bytes, &n) >= 0) {
        n = SH_MIN(n, sizeof(device->service_data));
        if (n > 0)
            memcpy(device->service_data, bytes, n);
        device->service_data_len = n;
        told->service_data = n > 0;
    }
    sd_bus_message_exit_container(m);
}

static void device_property(sd_bus_message *m, const char *key, void *user)
{
    struct told *told = user;
    struct sh_bluez_device *device = told->device;
    if (strcmp(key, "Address") == 0) {
        read_address(m, device->address);
    } else if (strcmp(key, "AddressType") == 0) {
        read_address_type(m, &device->random);
    } else if (strcmp(key, "Connected") == 0) {
        bool was = device->connected;
        sh_bluez_read_bool(m, &device->connected);
        told->disconnected = was && !device->connected;
    } else if (strcmp(key, "RSSI") == 0) {
        told->rssi = sh_bluez_read_int16(m, &device->rssi_dbm);
    } else if (strcmp(key, "ServiceData") == 0 && sh_bluez_enter(m, 'v', "a{sv}")) {
        sh_bluez_each_property(m, service_data, told);
        sd_bus_message_exit_container(m);
    }
}

/* The properties of one interface of one object are next in the message. */
static void interface_told(struct sh_bluez *bluez, sd_bus_message *m, const char *path,
                           const char *interface, bool make, struct sh_bluez_change *change)
{
    bool manager = strcmp(interface, SH_BLUEZ_ADV_MANAGER) == 0;
    if (manager || strcmp(interface, SH_BLUEZ_ADAPTER) == 0) {
        struct sh_bluez_adapter *adapter = adapter_of(bluez, path, make);
        if (!adapter)
            return;
        if (manager)
            adapter->advertises = true;
        sh_bluez_each_property(m, manager ? manager_property : adapter_property, adapter);
        change->adapter = adapter;
    } else if (strcmp(interface, SH_BLUEZ_DEVICE) == 0) {
        struct told told = {.device = device_of(bluez, path, make)};
        if (!told.device)
            return;
        told.device->turn = bluez->turn;
        sh_bluez_each_property(m, device_property, &told);
        change->device = told.device;
        change->rssi = told.rssi;
        change->service_data = told.service_data;
        change->disconnected = told.disconnected;
    }
}

/* ---- messages ---- */

/* a{sa{sv}} is next: the interfaces of an object. */
static void object_told(struct sh_bluez *bluez, sd_bus_message *m, const char *path,
                        struct sh_bluez_change *change)
{
    if (!sh_bluez_enter(m, 'a', "{sa{sv}}"))
        return;
    while (sh_bluez_enter(m, 'e', "sa{sv}")) {
        const char *interface = NULL;
        if (sd_bus_message_read_basic(m, 's', &interface) > 0)
            interface_told(bluez, m, path, interface, true, change);
        if (!sh_bluez_leave(m))
            return;
    }
    sh_bluez_leave(m);
}

enum sh_cause sh_bluez_managed(struct sh_bluez *bluez, sd_bus_message *m)
{
    const sd_bus_error *error = sd_bus_message_get_error(m);
    if (error)
        return sh_fail(SH_BLUETOOTH_REFUSED, "GetManagedObjects: %s", error->name);
    if (sd_bus_message_has_signature(m, "a{oa{sa{sv}}}") <= 0 ||
        !sh_bluez_enter(m, 'a', "{oa{sa{sv}}}"))
        return sh_fail(SH_BLUETOOTH_REFUSED, "GetManagedObjects: an answer of another kind");
    sh_bluez_clear(bluez);
    bluez->turn++;
    while (sh_bluez_enter(m, 'e', "oa{sa{sv}}")) {
        struct sh_bluez_change change = {0};
        const char *path = NULL;
        if (sd_bus_message_read_basic(m, 'o', &path) > 0)
            object_told(bluez, m, path, &change);
        if (!sh_bluez_leave(m))
            break;
    }
    return SH_OK;
}

static void removed(struct sh_bluez *bluez, sd_bus_message *m, struct sh_bluez_change *change)
{
    const char *path = NULL, *interface = NULL;
    if (sd_bus_message_read_basic(m, 'o', &path) <= 0 || !sh_bluez_enter(m, 'a', "s"))
        return;
    while (sd_bus_message_read_basic(m, 's', &interface) > 0) {
        if (strcmp(interface, SH_BLUEZ_ADAPTER) == 0) {
            change->adapter_gone |= adapter_drop(bluez, path);
        } else if (strcmp(interface, SH_BLUEZ_ADV_MANAGER) == 0) {
            struct sh_bluez_adapter *adapter = adapter_of(bluez, path, false);
            change->adapter_gone |= adapter && adapter->advertises;
            if (adapter)
                adapter->advertises = false;
        } else if (strcmp(interface, SH_BLUEZ_DEVICE) == 0) {
            device_drop(bluez, path);
        }
    }
}

struct sh_bluez_change sh_bluez_signal(struct sh_bluez *bluez, sd_bus_message *m)
{
    struct sh_bluez_change change = {0};
    const char *path = NULL, *interface = NULL;
    bluez->turn++;
    if (sd_bus_message_is_signal(m, OBJECT_MANAGER, "InterfacesAdded") > 0) {
        if (sd_bus_message_has_signature(m, "oa{sa{sv}}") > 0 &&
            sd_bus_message_read_basic(m, 'o', &path) > 0)
            object_told(bluez, m, path, &change);
    } else if (sd_bus_message_is_signal(m, OBJECT_MANAGER, "InterfacesRemoved") > 0) {
        if (sd_bus_message_has_signature(m, "oas") > 0)
            removed(bluez, m, &change);
    } else if (sd_bus_message_is_signal(m, PROPERTIES, "PropertiesChanged") > 0) {
        path = sd_bus_message_get_path(m);
        if (path && sd_bus_message_has_signature(m, "sa{sv}as") > 0 &&
            sd_bus_message_read_basic(m, 's', &interface) > 0)
            interface_told(bluez, m, path, interface, strcmp(interface, SH_BLUEZ_DEVICE) == 0,
                           &change);
    }
    return change;
}
