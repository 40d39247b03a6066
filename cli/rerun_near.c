/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "cli/rerun_internal.h"

static struct sh_level level_of(const int64_t *v)
{
    return (struct sh_level){.dbm = (double)v[0] / 100.0, .kind = (enum sh_level_kind)v[1]};
}

enum sh_cause rerun_near_begin(struct rerun_near *near, const struct sh_trace_record *record)
{
    rerun_near_clear(near);
    near->level = level_of(record->v);
    near->rule = (enum sh_proximity_rule)record->v[2];
    near->optional = record->v[3] != 0;
    near->begun = record->at;
    near->away = SH_AWAY_NOT;
    near->ours.level = near->level;
    struct sh_proximity_config config = {
        .use = SH_PROXIMITY_MEASURE, .rule = near->rule, .level = {near->level}};
    near->proximity = sh_proximity_new(&config);
    config.use = SH_PROXIMITY_APPROACH;
    near->watch = sh_proximity_new(&config);
    return near->proximity && near->watch ? SH_OK : SH_ENV_NO_MEMORY;
}

void rerun_near_clear(struct rerun_near *near)
{
    sh_proximity_free(near->proximity);
    sh_proximity_free(near->watch);
    *near = (struct rerun_near){.proximity = NULL};
}

static enum sh_cause decide(struct rerun_near *near, const struct sh_proximity_estimate *estimate)
{
    near->decided = true;
    near->estimate = *estimate;
    return estimate->verdict == SH_PROXIMITY_REJECT && !near->optional ? SH_NEAR_TOO_FAR : SH_OK;
}

enum sh_cause rerun_near_tick(struct rerun_near *near, sh_ms now)
{
    if (!near->proximity)
        return SH_OK;
    if (near->decided) {
        struct sh_proximity_estimate away = sh_proximity_at(near->watch, now);
        return !near->optional && sh_away_look(&near->away, &away, now) ? SH_NEAR_TOO_FAR : SH_OK;
    }
    struct sh_proximity_estimate estimate = sh_proximity_at(near->proximity, now);
    return estimate.verdict == SH_PROXIMITY_UNDECIDED || near->optional ? SH_OK
                                                                        : decide(near, &estimate);
}

/* The session went on from here: what the engine has not decided by now it has to. */
static enum sh_cause on_measured(struct rerun_near *near, sh_ms now)
{
    if (near->decided)
        return SH_OK;
    struct sh_proximity_estimate estimate = sh_proximity_at(near->proximity, now);
    if (estimate.verdict == SH_PROXIMITY_UNDECIDED)
        estimate = sh_proximity_finish(near->proximity);
    return decide(near, &estimate);
}

static enum sh_cause on_rssi(struct rerun_near *near, const struct sh_trace_record *record)
{
    struct sh_proximity_sample sample = {.at = record->at,
                                         .dbm = (int)record->v[0],
                                         .channel = SH_CHANNEL_UNKNOWN,
                                         .source = SH_SOURCE_CONNECTION};
    if (!near->decided)
        sh_samples_add(&near->ours, record->at, sample.dbm, sample.channel);
    sh_proximity_add(near->decided ? near->watch : near->proximity, &sample);
    return rerun_near_tick(near, record->at);
}

static void on_peer(struct sh_samples *theirs, const int64_t *v)
{
    bool later = theirs->count == 0 || v[0] >= theirs->at[theirs->count - 1].ms;
    if (theirs->count == SH_SAMPLES_MAX || !later)
        return;
    theirs->at[theirs->count].ms = (uint16_t)v[0];
    theirs->at[theirs->count].dbm = (int8_t)v[1];
    theirs->at[theirs->count++].channel = (uint8_t)v[2];
}

/* Whether one of the weakest advertisements came back rests on identifiers, which are not recorded: taken as it was found. */
static enum sh_cause on_judged(struct rerun_near *near, const int64_t *v)
{
    struct sh_nearness nearness;
    const struct sh_nearness_input input = {.rule = near->rule,
                                            .estimate = &near->estimate,
                                            .ours = &near->ours,
                                            .theirs = &near->theirs};
    SH_TRY(sh_nearness_judge(&input, &nearness));
    nearness.stepped = v[2] != 0;
    nearness.unheard = v[3] != 0;
    enum sh_cause cause = sh_nearness_cause(&nearness);
    return v[4] ? cause : SH_OK;
}

enum sh_cause rerun_near_record(struct rerun_near *near, const struct sh_trace_record *record)
{
    if (!near->proximity)
        return SH_OK;
    switch ((unsigned)record->kind) { /* most kinds are for others */
    case SH_TRACE_RSSI:
        return on_rssi(near, record);
    case SH_TRACE_DISTANCE:
        sh_proximity_sounding(near->decided ? near->watch : near->proximity, record->at,
                              (double)record->v[0] / 1000.0, (double)record->v[1] / 1000.0);
        return SH_OK;
    case SH_TRACE_MEASURED:
        return on_measured(near, record->at);
    case SH_TRACE_THEIRS:
        near->theirs = (struct sh_samples){.level = level_of(record->v),
                                           .rate_hz = (double)record->v[2] / 1000.0};
        return SH_OK;
    case SH_TRACE_PEER:
        on_peer(&near->theirs, record->v);
        return SH_OK;
    case SH_TRACE_JUDGED:
        return on_judged(near, record->v);
    default:
        return SH_OK;
    }
}
