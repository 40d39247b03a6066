/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies of wpa_supplicant, which hold what other devices said of themselves. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "transfer/wifi_mark.h"
#include "transfer/wpa_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_bytes reply = SH_BYTES(data, size);
    struct sh_wpa_network networks[SH_WPA_NETWORKS];
    struct sh_wifi_mark_text text, again;
    char value[32], bytes[SH_WIFI_MARK_SIZE];
    uint8_t address[6];
    unsigned number = 0;
    fuzz_assert(!sh_wpa_is_ok(reply) || !sh_wpa_number(reply, &number));
    if (sh_wpa_value(reply, "p2p_device_addr", value, sizeof(value))) {
        fuzz_assert(strlen(value) < sizeof(value));
        (void)sh_wpa_address(value, address);
    }
    size_t n = sh_wpa_networks(reply, SH_BYTES("DIRECT-ab", 9), networks);
    fuzz_assert(n <= SH_WPA_NETWORKS);
    for (size_t i = 1; i < n; i++) /* ours come first */
        fuzz_assert(networks[i - 1].ours || !networks[i].ours);
    /* A mark is read by the same cursor; what was taken survives a round. */
    if (sh_wifi_mark_read_text(reply, &text)) {
        size_t length = sh_wifi_mark_write_text(&text, bytes);
        fuzz_assert(sh_wifi_mark_read_text(SH_BYTES(bytes, length), &again));
        fuzz_assert(text.kind == again.kind && text.enabled_count == again.enabled_count &&
                    strcmp(text.iface, again.iface) == 0);
    }
    return 0;
}
