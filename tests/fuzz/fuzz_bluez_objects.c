/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands for bluetoothd on the bus. The input is a program that writes messages with sd-bus: the
 * outer shapes that the parser knows, filled with known and other names and with values of any type.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "pairing/bluez_objects.h"
#include "unit/pairing/bus_build.h"

#define A40       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_PATH ("/" A40 A40)

struct input {
    const uint8_t *p;
    size_t n;
};

static uint8_t next(struct input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

static const char *const paths[] = {"/",
                                    "/org/bluez/hci0",
                                    "/org/bluez/hci1",
                                    "/org/bluez/hci1/dev_4A_00_00_00_00_01",
                                    "/org/bluez/hci1/dev_4A_00_00_00_00_02",
                                    LONG_PATH};
static const char *const interfaces[] = {SH_BLUEZ_ADAPTER, SH_BLUEZ_DEVICE, SH_BLUEZ_ADV_MANAGER,
                                         "org.freedesktop.DBus.Properties"};
static const char *const keys[] = {"Address",
                                   "AddressType",
                                   "Powered",
                                   "PowerState",
                                   "Roles",
                                   "Discovering",
                                   "ActiveInstances",
                                   "SupportedInstances",
                                   "SupportedIncludes",
                                   "SupportedFeatures",
                                   "SupportedCapabilities",
                                   "MaxAdvLen",
                                   "RSSI",
                                   "ServiceData",
                                   "Connected",
                                   "124d1ff8-34aa-417f-9a6a-bcb4eafba572",
                                   ""};
static const char *const texts[] = {
    "central",           "peripheral",        "tx-power", "CanSetTxPower", "random", "off-blocked",
    "4A:00:00:00:00:01", "4A-00:00:00:00:01", ""};

#define PICK(list, in) (list)[next(in) % SH_COUNT(list)]

static void properties(sd_bus_message *m, struct input *in, unsigned depth);

static void basic(sd_bus_message *m, struct input *in, char type)
{
    uint64_t number = (uint64_t)next(in) << 8 | next(in);
    int truth = number & 1;
    double real = (double)number;
    if (type == 's')
        bus_build_must(sd_bus_message_append_basic(m, 's', PICK(texts, in)));
    else if (type == 'b')
        bus_build_must(sd_bus_message_append_basic(m, 'b', &truth));
    else if (type == 'd')
        bus_build_must(sd_bus_message_append_basic(m, 'd', &real));
    else
        bus_build_must(sd_bus_message_append_basic(m, type, &number));
}

static void array(sd_bus_message *m, struct input *in, char type)
{
    const char contents[] = {type, '\0'};
    bus_build_must(sd_bus_message_open_container(m, 'a', contents));
    for (unsigned n = next(in) % 80; n > 0; n--)
        basic(m, in, type);
    bus_build_must(sd_bus_message_close_container(m));
}

static void variant(sd_bus_message *m, struct input *in, unsigned depth)
{
    static const char types[] = "sbynqiuxtd";
    unsigned kind = next(in);
    char type = types[next(in) % (sizeof(types) - 1)];
    char contents[3] = {type, '\0', '\0'};
    if (kind % 4 == 0 && depth < 4) {
        bus_build_must(sd_bus_message_open_container(m, 'v', "a{sv}"));
        properties(m, in, depth + 1);
    } else if (kind % 4 == 1) {
        contents[0] = 'a';
        contents[1] = type;
        bus_build_must(sd_bus_message_open_container(m, 'v', contents));
        array(m, in, type);
    } else {
        bus_build_must(sd_bus_message_open_container(m, 'v', contents));
        basic(m, in, type);
    }
    bus_build_must(sd_bus_message_close_container(m));
}

static void properties(sd_bus_message *m, struct input *in, unsigned depth)
{
    bus_build_must(sd_bus_message_open_container(m, 'a', "{sv}"));
    for (unsigned n = next(in) % 8; n > 0; n--) {
        bus_build_must(sd_bus_message_open_container(m, 'e', "sv"));
        bus_build_must(sd_bus_message_append_basic(m, 's', PICK(keys, in)));
        variant(m, in, depth);
        bus_build_must(sd_bus_message_close_container(m));
    }
    bus_build_must(sd_bus_message_close_container(m));
}

static void object(sd_bus_message *m, struct input *in)
{
    bus_build_must(sd_bus_message_append_basic(m, 'o', PICK(paths, in)));
    bus_build_must(sd_bus_message_open_container(m, 'a', "{sa{sv}}"));
    for (unsigned n = next(in) % 4; n > 0; n--) {
        bus_build_must(sd_bus_message_open_container(m, 'e', "sa{sv}"));
        bus_build_must(sd_bus_message_append_basic(m, 's', PICK(interfaces, in)));
        properties(m, in, 0);
        bus_build_must(sd_bus_message_close_container(m));
    }
    bus_build_must(sd_bus_message_close_container(m));
}

static void managed(const struct bus_build *build, struct sh_bluez *bluez, struct input *in)
{
    sd_bus_message *m = bus_build_managed(build);
    bus_build_must(sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}"));
    for (unsigned n = next(in) % 8; n > 0; n--) {
        bus_build_must(sd_bus_message_open_container(m, 'e', "oa{sa{sv}}"));
        object(m, in);
        bus_build_must(sd_bus_message_close_container(m));
    }
    bus_build_must(sd_bus_message_close_container(m));
    bus_build_seal(m);
    fuzz_assert(sh_bluez_managed(bluez, m) == SH_OK);
    sd_bus_message_unref(m);
}

static void signal_message(const struct bus_build *build, struct sh_bluez *bluez, struct input *in,
                           unsigned kind)
{
    static const char *const members[] = {"InterfacesAdded", "InterfacesRemoved",
                                          "PropertiesChanged"};
    const char *interface =
        kind % 3 == 2 ? "org.freedesktop.DBus.Properties" : "org.freedesktop.DBus.ObjectManager";
    sd_bus_message *m = bus_build_signal(build, PICK(paths, in), interface, members[kind % 3]);
    if (next(in) % 16 == 0) {
        variant(m, in, 0); /* nothing of the kind */
    } else if (kind % 3 == 0) {
        object(m, in);
    } else if (kind % 3 == 1) {
        bus_build_must(sd_bus_message_append_basic(m, 'o', PICK(paths, in)));
        bus_build_must(
            sd_bus_message_append(m, "as", 2, PICK(interfaces, in), PICK(interfaces, in)));
    } else {
        bus_build_must(sd_bus_message_append_basic(m, 's', PICK(interfaces, in)));
        properties(m, in, 0);
        bus_build_must(sd_bus_message_append(m, "as", 1, PICK(keys, in)));
    }
    bus_build_seal(m);
    struct sh_bluez_change change = sh_bluez_signal(bluez, m);
    fuzz_assert(!change.device || change.device->service_data_len <= SH_BLUEZ_SERVICE_DATA);
    sd_bus_message_unref(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    const struct sh_bluez_adapter *adapter = NULL;
    /* One of each for all inputs: to make them takes longer than to read what comes. */
    static struct bus_build build;
    static struct sh_bluez *bluez;
    char words[SH_BLUEZ_WORDS];
    if (!build.bus)
        build = bus_build_open();
    if (!bluez && sh_bluez_new(&bluez) != SH_OK)
        return 0;
    sh_bluez_clear(bluez);
    for (unsigned i = 0; i < 32 && in.n > 0; i++) {
        unsigned kind = next(&in);
        if (kind % 4 == 3)
            managed(&build, bluez, &in);
        else
            signal_message(&build, bluez, &in, kind % 4);
    }
    fuzz_assert(sh_bluez_adapter_count(bluez) <= SH_BLUEZ_ADAPTERS);
    fuzz_assert(sh_bluez_device_count(bluez) <= SH_BLUEZ_DEVICES);
    if (sh_bluez_choose(bluez, NULL, SH_BLUEZ_PERIPHERAL, &adapter) == SH_OK)
        sh_bluez_describe(adapter, words);
    return 0;
}
