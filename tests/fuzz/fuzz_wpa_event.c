/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events of wpa_supplicant into the engine that joins: lines of the input, each an event or (without its head) a reply. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "transfer/wpa_task.h"

static unsigned over;

static void on_ask(bool p2p SH_UNUSED, const char *command, void *user SH_UNUSED)
{
    fuzz_assert(over == 0 && command[0] && strlen(command) < 192);
}

static void on_group(void *user SH_UNUSED) {}

static bool looked;

static void on_look(void *user SH_UNUSED)
{
    fuzz_assert(over == 0);
    looked = true;
}

static void on_up(const char *iface, void *user SH_UNUSED)
{
    fuzz_assert(over == 0 && strlen(iface) < SH_WPA_NAME);
}

static void on_ended(enum sh_cause cause, void *user SH_UNUSED)
{
    fuzz_assert(cause != SH_OK && over++ == 0);
}

static void on_undo(bool p2p SH_UNUSED, const char *command, void *user SH_UNUSED)
{
    fuzz_assert(command[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sh_wpa_task_ops ops = {
        .ask = on_ask, .group = on_group, .look = on_look, .up = on_up, .ended = on_ended};
    const struct sh_wifi_group group = {
        .ssid = "DIRECT-ab", .ssid_len = 9, .passphrase = "12345678", .frequency_mhz = 2412};
    struct sh_wpa_task *task = NULL;
    sh_ms now = 1;
    if (size == 0 || sh_wpa_task_new((enum sh_wpa_task_kind)(data[0] % 4), &group, &ops, NULL, now,
                                     &task) != SH_OK)
        return 0;
    over = 0;
    looked = false;
    (void)sh_wpa_task_tick(task, now);
    for (size_t at = 1; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t n = end ? (size_t)(end - data) - at : size - at;
        struct sh_wpa_event event;
        if (sh_wpa_event_parse(SH_BYTES(data + at, n), &event))
            sh_wpa_task_event(task, &event, (n & 1) != 0, now);
        else
            sh_wpa_task_reply(task, SH_BYTES(data + at, n), now);
        (void)sh_wpa_task_tick(task, now += 100);
        at += n + 1;
        if (looked && at < size) /* whatever is left, as a status */
            sh_wpa_task_status(task, "p2p-x-0", SH_BYTES(data + at, size - at));
    }
    (void)sh_wpa_task_undo(task, on_undo, NULL);
    sh_wpa_task_free(task);
    return 0;
}
