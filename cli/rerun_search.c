/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rerun_internal.h"

#define PSM 0x80

static void on_phase(enum sh_phase phase, void *user)
{
    ((struct rerun_search *)user)->phase = phase;
}

static void on_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                         void *user SH_UNUSED)
{
}

static void on_hint(const char *text SH_UNUSED, void *user SH_UNUSED) {}

static void on_pick(const struct sh_nearby_pick *pick, void *user)
{
    ((struct rerun_search *)user)->picked = (unsigned)strtoul(pick->address, NULL, 10);
}

static void on_failed(enum sh_cause cause, void *user)
{
    ((struct rerun_search *)user)->end = cause;
}

static double on_level(const struct sh_device *linked, void *user)
{
    const struct rerun_search *search = user;
    return search->known_dbm[linked - search->linked];
}

static const struct sh_nearby_ops nearby_ops = {.phase = on_phase,
                                                .proximity = on_proximity,
                                                .hint = on_hint,
                                                .pick = on_pick,
                                                .failed = on_failed,
                                                .level = on_level};

void rerun_search_clear(struct rerun_search *search)
{
    sh_nearby_free(search->nearby);
    free(search->linked);
    *search = (struct rerun_search){.nearby = NULL};
}

enum sh_cause rerun_search_begin(struct rerun_search *search, bool far, sh_ms now)
{
    rerun_search_clear(search);
    search->linked = calloc(RERUN_LINKED, sizeof(*search->linked));
    if (!search->linked)
        return SH_ENV_NO_MEMORY;
    /* Keys that only tell these apart here: what was recorded has none. */
    for (size_t i = 0; i < RERUN_LINKED; i++)
        memset(search->linked[i].resolving_key, (int)i + 1,
               sizeof(search->linked[i].resolving_key));
    SH_TRY(sh_nearby_new(search->linked, RERUN_LINKED, NULL, &nearby_ops, search, now,
                         &search->nearby));
    if (far)
        sh_nearby_take_far(search->nearby);
    return SH_OK;
}

enum sh_cause rerun_search_heard(struct rerun_search *search, const struct sh_trace_record *record)
{
    const int64_t *v = record->v;
    uint8_t payload[SH_ADVERT_MAX];
    unsigned from = (unsigned)v[0];
    struct sh_advert advert = {
        .version = SH_ADVERT_VERSION, .psm = PSM, .ref1m_dbm = SH_ADVERT_UNKNOWN_POWER};
    struct sh_ble_heard heard = {.rssi_dbm = (int)v[1]};
    if (!search->nearby)
        return SH_OK;
    if (v[3] != SH_TRACE_NONE)
        advert.ref1m_dbm = (int8_t)SH_MAX(-127, SH_MIN(126, v[3] / 100));
    sh_advert_step(&advert, (int)v[2]);
    memcpy(advert.id, &from, sizeof(from));
    if (v[5]) {
        size_t place = from % RERUN_LINKED;
        search->known_dbm[place] = v[4] == SH_TRACE_NONE ? (double)NAN : (double)v[4] / 100.0;
        SH_TRY(sh_rotating_id_new(search->linked[place].resolving_key, advert.id));
    }
    heard.payload = SH_BYTES(payload, sh_advert_encode(&advert, payload));
    snprintf(heard.address, sizeof(heard.address), "%u", from);
    sh_nearby_heard(search->nearby, &heard, record->at);
    return SH_OK;
}

void rerun_search_look(struct rerun_search *search, sh_ms now)
{
    if (search->nearby)
        (void)sh_nearby_tick(search->nearby, now);
}
