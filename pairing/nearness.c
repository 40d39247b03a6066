/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/nearness.h"

#include <math.h>
#include <string.h>

#include "pairing/level_window.h"

/* What of a recording the rule looks at: its last three seconds, or, of a slow sender, the last few. No more, since the engine
 * decides by itself what goes on for longer, before all of it is there. */
static size_t first_judged(const struct sh_samples *samples)
{
    size_t i = 0, last = samples->count - 1;
    while (samples->at[i].ms + SH_MEASURE_MS < samples->at[last].ms)
        i++;
    size_t least = SH_MIN(samples->count, (size_t)SH_MEASURE_SAMPLES);
    return SH_MIN(i, samples->count - least);
}

/* Returns the time of the last sample. */
static sh_ms feed(struct sh_proximity *proximity, enum sh_proximity_side side,
                  const struct sh_samples *samples)
{
    if (samples->count == 0)
        return 0;
    size_t first = first_judged(samples);
    for (size_t i = first; i < samples->count; i++) {
        struct sh_proximity_sample sample = {.at = samples->at[i].ms - samples->at[first].ms,
                                             .dbm = samples->at[i].dbm,
                                             .channel = samples->at[i].channel,
                                             .source = SH_SOURCE_CONNECTION,
                                             .side = side};
        sh_proximity_add(proximity, &sample);
    }
    return samples->at[samples->count - 1].ms - samples->at[first].ms;
}

/* Mean of the blocks that are judged, in dBm. */
static double mean_of(const struct sh_samples *samples)
{
    struct sh_level_window window = {.begun = false};
    for (size_t i = samples->count > 0 ? first_judged(samples) : 0; i < samples->count; i++)
        sh_level_window_add(&window, samples->at[i].ms, samples->at[i].dbm);
    return sh_level_window_since(&window, 0).mean_db;
}

/* Did one that was sent at the lowest power come back? */
static bool heard_weakest(const struct sh_nearness_input *input)
{
    int lowest = input->stepped[0].dbm;
    for (size_t i = 1; i < input->stepped_count; i++)
        lowest = SH_MIN(lowest, input->stepped[i].dbm);
    for (size_t i = 0; i < input->stepped_count; i++) {
        const struct sh_heard_id *sent = &input->stepped[i];
        for (size_t k = 0; sent->dbm == lowest && k < input->theirs->heard_count; k++) {
            if (memcmp(sent->id, input->theirs->heard[k].id, sizeof(sent->id)) == 0)
                return true;
        }
    }
    return false;
}

enum sh_cause sh_nearness_judge(const struct sh_nearness_input *input,
                                struct sh_nearness *ret_nearness)
{
    const struct sh_samples *ours = input->ours, *theirs = input->theirs;
    struct sh_proximity_config config = {
        .use = SH_PROXIMITY_MEASURE, .rule = input->rule, .level = {ours->level, theirs->level}};
    struct sh_proximity *proximity = sh_proximity_new(&config);
    if (!proximity)
        return SH_ENV_NO_MEMORY;
    struct sh_nearness nearness = {.rule = input->rule,
                                   .ours = *input->estimate,
                                   .level = {ours->level, theirs->level},
                                   .samples = {(unsigned)ours->count, (unsigned)theirs->count},
                                   .rate_hz = {ours->rate_hz, theirs->rate_hz},
                                   .offset_db = mean_of(ours) - mean_of(theirs),
                                   .stepped = input->stepped_count > 0};
    (void)feed(proximity, SH_SIDE_THEIRS, theirs);
    sh_ms last = feed(proximity, SH_SIDE_OURS, ours);
    /* A distance that was measured with its deviation has been accepted already; it stands for ours here too. */
    if (input->estimate->evidence.sounding)
        sh_proximity_sounding(proximity, last, input->estimate->metres, 0.0);
    nearness.joint = sh_proximity_finish(proximity);
    nearness.unheard = nearness.stepped && !heard_weakest(input);
    sh_proximity_free(proximity);
    *ret_nearness = nearness;
    return SH_OK;
}

const char *sh_nearness_hint(const struct sh_proximity_estimate *estimate)
{
    return estimate->advice == SH_ADVICE_MOVE ? "; move it a little while it is measured" : "";
}

enum sh_cause sh_nearness_cause(const struct sh_nearness *nearness)
{
    const struct sh_proximity_estimate *joint = &nearness->joint;
    double half = joint->evidence.asymmetry_db / 2.0, score = joint->evidence.score_db;
    if (joint->verdict != SH_PROXIMITY_ACCEPT &&
        fabs(2.0 * half) > sh_proximity_asymmetry_limit(nearness->level[SH_SIDE_OURS].kind,
                                                        nearness->level[SH_SIDE_THEIRS].kind))
        return sh_fail(SH_NEAR_ASYMMETRIC,
                       "we hear it %+.1f dB from what one metre gives, it hears us %+.1f dB: %s",
                       score + half, score - half,
                       half > 0 ? "we hear it louder" : "it hears us louder");
    if (joint->verdict != SH_PROXIMITY_ACCEPT)
        return sh_fail(SH_NEAR_TOO_FAR, "both sides together find about %.1f m%s", joint->metres,
                       sh_nearness_hint(joint));
    if (nearness->unheard && nearness->rule == SH_PROXIMITY_STRICT)
        return SH_NEAR_UNHEARD;
    return SH_OK;
}
