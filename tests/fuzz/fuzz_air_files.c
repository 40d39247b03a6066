/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The three files of a simulated air, and the packets of its sockets. The first octet says which. */
#include <math.h>

#include "fuzz/fuzz.h"
#include "pairing/sim_packet.h"

static void ignore(struct sh_bytes line SH_UNUSED, void *user SH_UNUSED) {}

static void positions(struct sh_bytes text)
{
    static struct sh_air_positions result;
    sh_air_parse_positions(text, ignore, NULL, &result);
    fuzz_assert(result.count <= SH_AIR_DEVICES);
    for (size_t i = 0; i < result.count; i++)
        fuzz_assert(isfinite(result.device[i].at.x) && isfinite(result.device[i].at.y));
}

static void air(struct sh_bytes text)
{
    struct sh_air result;
    const struct sh_position a = {0, 0};
    const struct sh_position b = {1, 2};
    sh_air_parse_air(text, ignore, NULL, &result);
    int dbm = sh_air_rssi(&result, a, b, 0, 0);
    fuzz_assert(dbm >= -110 && dbm <= 20 && result.interval_ms >= 10 && result.sample_ms >= 5);
}

static void faults(struct sh_bytes text)
{
    static struct sh_air_faults result;
    sh_air_parse_faults(text, ignore, NULL, &result);
    for (size_t i = 0; i < SH_FAULT_TARGETS; i++)
        fuzz_assert(result.target[i].drop >= 0.0 && result.target[i].drop <= 1.0);
}

static void packets(struct sh_bytes bytes)
{
    struct sh_sim_advert advert;
    struct sh_sim_greeting greeting;
    if (sh_sim_advert_read(bytes, &advert))
        fuzz_assert(advert.payload.n <= 255 && advert.channel >= 37 && advert.channel <= 39 &&
                    advert.power_db <= 0 && advert.power_db >= -SH_SIM_LOWER_MAX);
    if (sh_sim_greeting_read(bytes, &greeting))
        fuzz_assert(greeting.name[0] != '\0' && greeting.name[0] != '.');
    fuzz_assert(!sh_sim_answer_read(bytes) || bytes.n == SH_SIM_ANSWER_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parse[])(struct sh_bytes) = {positions, air, faults, packets};
    if (size == 0)
        return 0;
    parse[data[0] % SH_COUNT(parse)](SH_BYTES(data + 1, size - 1));
    return 0;
}
