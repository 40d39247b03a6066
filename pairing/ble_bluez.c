/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/ble_bluez.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pairing/bluez_radio.h"
#include "pairing/hci_dev.h"
#include "pairing/l2cap_socket.h"
#include "pairing/mgmt_packet.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"

#define START_GRACE_MS 1500 /* what cannot work at the start is said then, after a second try */
#define WATCH_S        2
#define STEP_MS        3000 /* each is a word with bluetoothd and a stop of the controller */
#define SILENT_WATCHES 8    /* scanning without hearing anything: begin again */
#define PING_WATCHES   2    /* ... does bluetoothd live? */
#define IDLE_WATCHES   5    /* advertising without a visitor: tell it again */
#define SLEPT_MS       500  /* less is the clocks' own */

static const struct sh_ble_driver driver;

void sh_bluez_radio_enter(struct sh_bluez_radio *radio)
{
    radio->depth++;
}

void sh_bluez_radio_leave(struct sh_bluez_radio *radio)
{
    if (--radio->depth == 0 && radio->freed)
        free(radio);
}

void sh_bluez_kick(struct sh_bluez_radio *radio)
{
    static const struct timeval now = {0};
    evtimer_add(radio->kick, &now);
}

bool sh_bluez_own(const struct sh_bluez_radio *radio, struct sh_bdaddr *ret_own)
{
    char text[SH_BDADDR_TEXT];
    snprintf(text, sizeof(text), "%s/%s", radio->adapter.address,
             radio->adapter.random ? "random" : "public");
    return sh_bdaddr_read(text, ret_own);
}

static void keep_trouble(struct sh_bluez_trouble *trouble, enum sh_cause cause)
{
    trouble->cause = cause;
    snprintf(trouble->detail, sizeof(trouble->detail), "%s", cause == SH_OK ? "" : sh_detail());
}

static enum sh_cause repeat_trouble(const struct sh_bluez_trouble *trouble)
{
    return trouble->cause == SH_OK ? SH_OK : sh_fail(trouble->cause, "%s", trouble->detail);
}

SH_PRINTF(2, 3) static void note(struct sh_bluez_radio *radio, const char *format, ...)
{
    char text[SH_BLUEZ_WORDS + SH_BLUEZ_DETAIL];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    sh_log("bluez: %s", text);
    if (radio->ble.ops->note)
        radio->ble.ops->note(text, radio->ble.user);
}

/* ---- the adapter ---- */

static void on_info(uint32_t settings, void *user)
{
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    if (!(settings & SH_MGMT_PRIVACY))
        note(radio,
             "Adapter %s shows its own address to everybody nearby; `Privacy = device` in "
             "/etc/bluetooth/main.conf hides it.",
             radio->adapter.name);
    sh_bluez_radio_leave(radio);
}

/* The N of hciN. */
static uint16_t index_of(const struct sh_bluez_adapter *adapter)
{
    return (uint16_t)strtoul(adapter->name + strcspn(adapter->name, "0123456789"), NULL, 10);
}

static void adopt(struct sh_bluez_radio *radio, const struct sh_bluez_adapter *adapter)
{
    char words[SH_BLUEZ_WORDS];
    bool other = strcmp(radio->adapter.path, adapter->path) != 0;
    radio->adapter = *adapter;
    if (!other)
        return;
    sh_bluez_describe(adapter, words);
    sh_mgmt_info_free(radio->info);
    radio->info = NULL;
    if (sh_bluez_link_adapter(radio, index_of(adapter)) != SH_OK ||
        sh_mgmt_info_new(radio->base, index_of(adapter), on_info, radio, &radio->info) != SH_OK)
        sh_log("bluez: %s: %s", adapter->name, sh_detail());
    note(radio, "Using Bluetooth adapter %s.", words);
}

static unsigned roles(const struct sh_bluez_radio *radio)
{
    bool central = radio->scanning || radio->call.state != SH_BLUEZ_NO_CALL;
    return (radio->advertising ? SH_BLUEZ_PERIPHERAL : 0u) | (central ? SH_BLUEZ_CENTRAL : 0u);
}

/* Of the adapter that is used, or asked for: "hci0"; "": not known. */
static const char *own_name(const struct sh_bluez_radio *radio)
{
    return radio->adapter.name[0] ? radio->adapter.name : radio->wanted_adapter;
}

/* Why the adapter cannot be used: the switch that holds it off rather than that it is off. */
static enum sh_cause refine(const struct sh_bluez_radio *radio, enum sh_cause cause)
{
    if (cause != SH_BLUETOOTH_OFF && cause != SH_BLUETOOTH_RFKILL_SOFT &&
        cause != SH_BLUETOOTH_NO_ADAPTER)
        return cause;
    struct sh_bluez_trouble was;
    keep_trouble(&was, cause);
    enum sh_cause blocked = sh_rfkill_cause(radio->switches, SH_RFKILL_BLUETOOTH, own_name(radio));
    return blocked != SH_OK ? blocked : repeat_trouble(&was);
}

/* The adapter that is used goes on to be used as long as it can; else the best one is. */
static enum sh_cause pick(struct sh_bluez_radio *radio)
{
    struct sh_bluez *objects = sh_bluez_daemon_objects(radio->daemon);
    const struct sh_bluez_adapter *adapter = NULL;
    SH_TRY(repeat_trouble(&radio->daemon_trouble));
    if (radio->usable)
        adapter = sh_bluez_adapter_find(objects, radio->adapter.path);
    if (adapter) {
        /* Its slots may be full because of us; the advertiser tells if not. */
        struct sh_bluez_adapter with_slot = *adapter;
        with_slot.slots_free = 1;
        if (sh_bluez_fits(&with_slot, roles(radio)) != SH_OK)
            adapter = NULL;
    }
    if (!adapter) {
        const char *wanted = radio->wanted_adapter[0] ? radio->wanted_adapter : NULL;
        enum sh_cause cause = sh_bluez_choose(objects, wanted, roles(radio), &adapter);
        if (cause != SH_OK)
            return refine(radio, cause);
    }
    radio->usable = true;
    adopt(radio, adapter);
    return SH_OK;
}

/* What was asked of bluetoothd is void. */
static void unusable(struct sh_bluez_radio *radio)
{
    radio->usable = false;
    sh_bluez_ranging_stop(radio, radio->sounded);
    sh_bluez_scan_lost(radio->scan);
    if (radio->daemon_trouble.cause == SH_OK)
        sh_bluez_advert_off(radio->advert);
    else
        sh_bluez_advert_lost(radio->advert);
    keep_trouble(&radio->advert_trouble, SH_OK);
    keep_trouble(&radio->scan_trouble, SH_OK);
}

/* ---- trouble ---- */

/* What never goes away by waiting. */
static bool is_lasting(enum sh_cause cause)
{
    return cause == SH_BLUETOOTH_PERMISSION || cause == SH_BLUETOOTH_DAEMON_OLD ||
           cause == SH_BLUETOOTH_UNSUPPORTED || cause == SH_BLUETOOTH_NO_LE;
}

static void troubled(struct sh_bluez_radio *radio, enum sh_cause cause)
{
    bool first = radio->trouble.cause == SH_OK, same = radio->trouble.cause == cause;
    bool waits = (radio->was_usable || cause == SH_BLUETOOTH_SLOTS_FULL) && !is_lasting(cause);
    keep_trouble(&radio->trouble, cause);
    if (same)
        return;
    unsigned ms = waits ? SH_BLE_GRACE_MS : START_GRACE_MS;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    if (first || is_lasting(cause))
        evtimer_add(radio->grace, &tv);
    sh_log("bluez: trouble: %s: %s", sh_cause_info(cause)->name, radio->trouble.detail);
    if (!waits || radio->noted_trouble)
        return;
    radio->noted_trouble = true;
    note(radio, "%s (%s) Waiting %d s for it.", sh_cause_info(cause)->message,
         radio->trouble.detail[0] ? radio->trouble.detail : sh_cause_info(cause)->name,
         SH_BLE_GRACE_MS / 1000);
}

static void untroubled(struct sh_bluez_radio *radio)
{
    bool noted = radio->noted_trouble;
    event_del(radio->grace);
    keep_trouble(&radio->trouble, SH_OK);
    radio->noted_trouble = false;
    if (noted)
        note(radio, "Bluetooth is back.");
}

static void on_grace(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez grace");
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    radio->over = true;
    sh_bluez_link_call_stop(radio);
    unusable(radio);
    if (radio->ble.ops->failed)
        radio->ble.ops->failed(repeat_trouble(&radio->trouble), radio->ble.user);
    sh_bluez_radio_leave(radio);
}

/* ---- review ---- */

/* What the adapter advertises with where it can be told to use less; SH_BLUEZ_NO_POWER: it cannot. */
static int full_power(const struct sh_bluez_radio *radio)
{
    const struct sh_bluez_adapter *adapter = &radio->adapter;
    int most = adapter->tx_power_max, least = most - SH_ADVERT_LOWER_MAX;
    bool can = adapter->can_set_tx_power && most <= SH_BLUEZ_POWER_MAX &&
               least >= SH_BLUEZ_POWER_MIN && adapter->tx_power_min <= least;
    return can && !sh_bluez_advert_refused_power(radio->advert) ? most : SH_BLUEZ_NO_POWER;
}

static enum sh_cause do_advertise(struct sh_bluez_radio *radio)
{
    struct sh_bluez_power power = {.full_dbm = full_power(radio), .step_db = radio->power_db};
    if (!radio->advertising) {
        sh_bluez_link_unlisten(radio);
        sh_bluez_advert_off(radio->advert);
        return SH_OK;
    }
    SH_TRY(sh_bluez_link_listen(radio));
    /* The second try of a call has the controller for itself. */
    if (radio->call.state != SH_BLUEZ_NO_CALL && radio->call.tries > 0) {
        sh_bluez_advert_off(radio->advert);
        return SH_OK;
    }
    sh_bluez_advert_on(radio->advert, sh_bluez_daemon_bus(radio->daemon), radio->adapter.path,
                       &radio->payload, &power);
    return repeat_trouble(&radio->advert_trouble);
}

static enum sh_cause do_scan(struct sh_bluez_radio *radio)
{
    if (!radio->scanning || radio->call.state != SH_BLUEZ_NO_CALL) {
        sh_bluez_scan_off(radio->scan);
        return SH_OK;
    }
    if (sh_bluez_scan_idle(radio->scan))
        sh_bluez_forget_rssi(sh_bluez_daemon_objects(radio->daemon));
    sh_bluez_scan_on(radio->scan, sh_bluez_daemon_bus(radio->daemon), radio->adapter.path);
    return repeat_trouble(&radio->scan_trouble);
}

void sh_bluez_review(struct sh_bluez_radio *radio)
{
    if (radio->freed || radio->over || !radio->told)
        return;
    if (roles(radio) == SH_BLUEZ_ANY_ROLE) {
        /* Nothing is wanted any more, so nothing can be wrong. */
        if (radio->usable && do_advertise(radio) == SH_OK && do_scan(radio) == SH_OK)
            untroubled(radio);
        return;
    }
    enum sh_cause cause = pick(radio);
    if (radio->freed)
        return; /* by who was told of the adapter */
    if (cause != SH_OK) {
        if (radio->usable)
            unusable(radio);
        troubled(radio, cause);
        return;
    }
    cause = do_advertise(radio);
    enum sh_cause scan = do_scan(radio);
    if (cause == SH_OK)
        cause = scan;
    if (cause != SH_OK)
        troubled(radio, cause);
    else if (radio->trouble.cause != SH_OK)
        untroubled(radio);
    if (radio->freed)
        return;
    bool advertises = !radio->advertising || sh_bluez_advert_is_on(radio->advert);
    radio->was_usable = radio->was_usable || (cause == SH_OK && advertises);
    sh_bluez_link_review(radio);
}

static void on_kick(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez");
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    sh_bluez_review(radio);
    sh_bluez_radio_leave(radio);
}

/* ---- what is told ---- */

static void on_state(enum sh_cause cause, void *user)
{
    static const struct timeval grace = {.tv_sec = SH_BLE_GRACE_MS / 1000};
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    radio->told = true;
    keep_trouble(&radio->daemon_trouble, cause);
    if (cause != SH_OK)
        sh_log("bluez: %s: %s", sh_cause_info(cause)->name, sh_detail());
    /* Whatever it was, nothing of ours is left there. */
    unusable(radio);
    if (cause == SH_OK && radio->was_usable && radio->trouble.cause != SH_OK)
        evtimer_add(radio->grace, &grace); /* it is back, its adapters will take a moment */
    sh_bluez_review(radio);
    sh_bluez_radio_leave(radio);
}

static void heard(struct sh_bluez_radio *radio, const struct sh_bluez_change *change)
{
    const struct sh_bluez_device *device = change->device;
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert advert;
    size_t n = strlen(radio->adapter.path);
    if (!sh_bluez_scan_is_on(radio->scan) || device->rssi_dbm == SH_BLUEZ_NO_RSSI ||
        strncmp(device->path, radio->adapter.path, n) != 0 || device->path[n] != '/')
        return;
    radio->heard++;
    struct sh_bytes data = SH_BYTES(device->service_data, device->service_data_len);
    if (!device->address[0] || !radio->ble.ops->heard ||
        sh_advert_decode_service_data(data, &advert) != SH_OK)
        return;
    struct sh_ble_heard told = {.rssi_dbm = device->rssi_dbm};
    snprintf(told.address, sizeof(told.address), "%s/%s", device->address,
             device->random ? "random" : "public");
    told.payload = SH_BYTES(payload, sh_advert_encode(&advert, payload));
    radio->ble.ops->heard(&told, radio->ble.user);
}

static void on_changed(const struct sh_bluez_change *change, void *user)
{
    struct sh_bluez_radio *radio = user;
    SH_SLOW("bluez change");
    sh_bluez_radio_enter(radio);
    if (change->device && (change->rssi || change->service_data))
        heard(radio, change);
    if (change->disconnected)
        sh_bluez_link_ended(radio);
    if (change->adapter || change->adapter_gone)
        sh_bluez_review(radio);
    else if (change->device && !radio->over)
        sh_bluez_link_review(radio); /* its connection may have ended */
    sh_bluez_radio_leave(radio);
}

static const struct sh_bluez_daemon_ops daemon_ops = {.state = on_state, .changed = on_changed};

static void on_advert(enum sh_cause cause, void *user)
{
    struct sh_bluez_radio *radio = user;
    keep_trouble(&radio->advert_trouble, cause);
    sh_bluez_kick(radio);
}

static void on_scan(enum sh_cause cause, void *user)
{
    struct sh_bluez_radio *radio = user;
    keep_trouble(&radio->scan_trouble, cause);
    sh_bluez_kick(radio);
}

static void on_switches(const struct sh_rfkill states[SH_RFKILL_TYPES], void *user)
{
    struct sh_bluez_radio *radio = user;
    memcpy(radio->switches, states, sizeof(radio->switches));
    sh_bluez_kick(radio);
}

static void advertise_again(struct sh_bluez_radio *radio)
{
    radio->idle_watches = 0;
    if (radio->usable && radio->advertising)
        sh_bluez_advert_again(radio->advert);
}

static void on_reassert(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez reassert");
    struct sh_bluez_radio *radio = user;
    advertise_again(radio);
}

/* Not everything that stops a controller's advertising is told: a connection that bluetoothd did not know of when it was started
 * ends without a word. */
static void on_watch(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez watch");
    struct sh_bluez_radio *radio = user;
    sh_ms slept = sh_asleep();
    bool woke = slept > radio->asleep_ms + SLEPT_MS;
    radio->asleep_ms = slept;
    bool silent = sh_bluez_scan_is_on(radio->scan) && radio->heard == 0;
    radio->silent_watches = silent ? radio->silent_watches + 1 : 0;
    radio->heard = 0;
    if (radio->silent_watches % PING_WATCHES == PING_WATCHES - 1)
        sh_bluez_daemon_ping(radio->daemon);
    if (woke)
        sh_log("bluez: the machine has slept");
    radio->idle_watches = radio->visitors > 0 ? 0 : radio->idle_watches + 1;
    if (woke || radio->idle_watches == IDLE_WATCHES)
        advertise_again(radio);
    if (woke || radio->silent_watches == SILENT_WATCHES) {
        radio->silent_watches = 0;
        sh_bluez_scan_again(radio->scan);
    }
}

/* ---- the driver ---- */

static struct sh_bluez_radio *of(struct sh_ble *ble)
{
    return (struct sh_bluez_radio *)ble; /* its first member */
}

static enum sh_cause bluez_advertise(struct sh_ble *ble, struct sh_bytes payload, int power_db)
{
    struct sh_bluez_radio *radio = of(ble);
    struct sh_advert advert;
    SH_TRY(sh_advert_decode(payload, &advert));
    if (radio->listening)
        advert.psm = radio->payload.psm; /* the system's choice, while it listens */
    radio->payload = advert;
    radio->power_db = power_db;
    radio->advertising = true;
    sh_bluez_kick(radio);
    return SH_OK;
}

static bool bluez_can_lower(const struct sh_ble *ble)
{
    const struct sh_bluez_radio *radio = (const struct sh_bluez_radio *)ble; /* as of() */
    return full_power(radio) != SH_BLUEZ_NO_POWER;
}

static void bluez_advertise_stop(struct sh_ble *ble)
{
    of(ble)->advertising = false;
    sh_bluez_kick(of(ble));
}

static enum sh_cause bluez_scan(struct sh_ble *ble, bool on)
{
    of(ble)->scanning = on;
    sh_bluez_kick(of(ble));
    return SH_OK;
}

static enum sh_cause bluez_connect(struct sh_ble *ble, const char *address, uint8_t psm, bool anew)
{
    return sh_bluez_link_call(of(ble), address, psm, anew);
}

static void bluez_sample(struct sh_ble *ble, struct sh_stream *stream, bool on)
{
    sh_bluez_link_sample(of(ble), stream, on);
}

/* What the kernel says now, before what bluetoothd said last. */
static enum sh_cause bluez_state(struct sh_ble *ble)
{
    const struct sh_bluez_radio *radio = of(ble);
    struct sh_rfkill switches[SH_RFKILL_TYPES];
    sh_rfkill_read(NULL, switches);
    SH_TRY(sh_rfkill_cause(switches, SH_RFKILL_BLUETOOTH, own_name(radio)));
    if (radio->adapter.name[0])
        SH_TRY(sh_hci_dev_state(index_of(&radio->adapter)));
    return repeat_trouble(&radio->trouble);
}

static const char *bluez_adapter(const struct sh_ble *ble)
{
    return ((const struct sh_bluez_radio *)ble)->adapter.address;
}

static void radio_close(struct sh_bluez_radio *radio)
{
    struct event **events[] = {&radio->kick, &radio->grace, &radio->reassert, &radio->watch};
    sh_bluez_link_close(radio);
    sh_mgmt_info_free(radio->info);
    sh_rfkill_watch_free(radio->rfkill);
    sh_bluez_scan_free(radio->scan);
    sh_bluez_advert_free(radio->advert);
    sh_bluez_daemon_free(radio->daemon);
    for (size_t i = 0; i < SH_COUNT(events); i++) {
        if (*events[i])
            event_free(*events[i]);
        *events[i] = NULL;
    }
}

/* What bluetoothd, and wpa_supplicant beside it, still do of what they were told last is not seen here; whoever starts anew at once would
 * meet it half done. */
static bool bluez_busy(const struct sh_ble *ble SH_UNUSED)
{
    return true;
}

static void bluez_free(struct sh_ble *ble)
{
    struct sh_bluez_radio *radio = of(ble);
    sh_bluez_radio_enter(radio);
    radio->freed = true;
    radio_close(radio);
    sh_bluez_radio_leave(radio);
}

static const struct sh_ble_driver driver = {
    .name = "bluez",
    .advertise = bluez_advertise,
    .can_lower = bluez_can_lower,
    .step_ms = STEP_MS,
    .advertise_stop = bluez_advertise_stop,
    .scan = bluez_scan,
    .connect = bluez_connect,
    .sample = bluez_sample,
    .state = bluez_state,
    .adapter = bluez_adapter,
    .busy = bluez_busy,
    .free = bluez_free,
};

static enum sh_cause radio_open(struct sh_bluez_radio *radio)
{
    static const struct timeval watch = {.tv_sec = WATCH_S};
    struct event_base *base = radio->base;
    radio->kick = evtimer_new(base, on_kick, radio);
    radio->grace = evtimer_new(base, on_grace, radio);
    radio->reassert = evtimer_new(base, on_reassert, radio);
    radio->watch = event_new(base, -1, EV_PERSIST, on_watch, radio);
    if (!radio->kick || !radio->grace || !radio->reassert || !radio->watch ||
        event_add(radio->watch, &watch) != 0)
        return SH_ENV_NO_MEMORY;
    radio->asleep_ms = sh_asleep();
    sh_rfkill_read(NULL, radio->switches);
    SH_TRY(sh_rfkill_watch_new(base, on_switches, radio, &radio->rfkill));
    SH_TRY(sh_bluez_advert_new(base, on_advert, radio, &radio->advert));
    SH_TRY(sh_bluez_scan_new(base, on_scan, radio, &radio->scan));
    SH_TRY(sh_bluez_link_open(radio));
    return sh_bluez_daemon_new(base, &daemon_ops, radio, &radio->daemon);
}

enum sh_cause sh_ble_bluez_new(struct event_base *base, const char *adapter,
                               const struct sh_ble_ops *ops, void *user, struct sh_ble **ret_ble)
{
    SH_TRY(sh_l2cap_supported());
    struct sh_bluez_radio *radio = calloc(1, sizeof(*radio));
    if (!radio)
        return SH_ENV_NO_MEMORY;
    radio->ble = (struct sh_ble){.driver = &driver, .ops = ops, .user = user};
    radio->base = base;
    if (adapter && !sh_strcopy(radio->wanted_adapter, sizeof(radio->wanted_adapter), adapter)) {
        free(radio);
        return sh_fail(SH_USAGE_BAD_OPTION, "--adapter %.32s...: hciN or an address", adapter);
    }
    enum sh_cause cause = radio_open(radio);
    if (cause != SH_OK) {
        radio_close(radio);
        free(radio);
        return cause;
    }
    *ret_ble = &radio->ble;
    return SH_OK;
}
