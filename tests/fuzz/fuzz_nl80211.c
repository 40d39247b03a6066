/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attributes of nl80211, and the judging of whatever came out of them. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "transfer/wifi_nl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_wifi_radio radio = {.phy_count = 0};
    const struct sh_wifi_iface *station = NULL;
    uint32_t mhz = 0;
    /* Pieces of at most 4 KiB: first octet the kind, next two the length; aligned as the kernel's are. */
    while (size >= 3) {
        size_t n = SH_MIN((size_t)(data[1] | (data[2] & 15) << 8), size - 3);
        uint8_t *piece = malloc(n > 0 ? n : 1);
        fuzz_assert(piece);
        memcpy(piece, data + 3, n);
        struct sh_bytes attributes = SH_BYTES(piece, n);
        if (data[0] % 3 == 0)
            sh_wifi_nl_parse_phy(attributes, &radio);
        else if (data[0] % 3 == 1)
            sh_wifi_nl_parse_iface(attributes, &radio);
        else
            sh_wifi_nl_parse_country(attributes, &radio);
        free(piece);
        data += 3 + n;
        size -= 3 + n;
    }
    fuzz_assert(radio.phy_count <= SH_WIFI_PHYS && radio.iface_count <= SH_WIFI_IFACES);
    if (sh_wifi_station(&radio, NULL, &station) != SH_OK)
        return 0;
    if (sh_wifi_group_frequency(&radio, station, &mhz) == SH_OK)
        fuzz_assert(sh_wifi_may_own(sh_wifi_phy(&radio, station->phy), mhz));
    for (unsigned way = 0; way < SH_WIFI_WAYS; way++)
        fuzz_assert(sh_wifi_can_join(&radio, station, (enum sh_wifi_way)way, 2412) <
                    SH_CAUSE_COUNT);
    return 0;
}
