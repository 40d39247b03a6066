/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/events.h"

#include <stdlib.h>
#include <string.h>

#include "cli/edge.h"
#include "system/clock.h"

void sh_events_phase(struct sh_events *events, enum sh_phase phase, const char *peer)
{
    SH_TRACE(events->tracer, sh_now(), 0, PHASE, (int64_t)phase);
    sh_output_phase(events->out, phase, events->role, peer && peer[0] ? peer : NULL);
}

void sh_events_proximity(struct sh_events *events, const struct sh_proximity_estimate *estimate,
                         bool final)
{
    struct sh_out_proximity line = {.metres = estimate->metres,
                                    .confidence_percent = estimate->confidence_percent,
                                    .samples = estimate->samples,
                                    .accept = estimate->verdict == SH_PROXIMITY_ACCEPT,
                                    .advice = estimate->advice,
                                    .final = final,
                                    .backend =
                                        estimate->evidence.sounding ? "channel-sounding" : "rssi"};
    sh_output_proximity(events->out, &line);
}

void sh_events_not_demanded(struct sh_events *events, const struct sh_proximity_estimate *estimate)
{
    if (estimate->verdict == SH_PROXIMITY_ACCEPT)
        return;
    sh_output_note(events->out, "It was not found within one metre, which is not demanded here.");
}

void sh_events_link(struct sh_events *events, int kind, const char *state, enum sh_cause cause)
{
    static const char *const states[] = {"up", "down", "failed"};
    size_t i = 0;
    while (i + 1 < SH_COUNT(states) && strcmp(states[i], state) != 0)
        i++;
    SH_TRACE(events->tracer, sh_now(), 0, LINK, kind, (int64_t)i, (int64_t)cause);
    sh_output_link(events->out, sh_link_kind_name(kind), state, cause);
}

void sh_events_progress(struct sh_events *events, const struct sh_session_progress *progress,
                        sh_ms now)
{
    if (strcmp(events->item, progress->item) != 0) {
        events->rate = (struct sh_rate){0};
        if (!sh_strcopy(events->item, sizeof(events->item), progress->item))
            return;
    }
    sh_rate_add(&events->rate, now, progress->verified);
    struct sh_out_progress line = {
        .item = progress->item,
        .verified = progress->verified,
        .total = progress->total,
        .link = progress->link ? sh_link_kind_name(progress->link) : NULL,
        .rate = sh_rate_now(&events->rate),
        .eta = sh_rate_eta(&events->rate, progress->verified, progress->total)};
    sh_output_progress(events->out, &line);
}

void sh_events_done(struct sh_events *events, const struct sh_session_summary *summary, sh_ms now)
{
    sh_autofree struct sh_out_item *items = calloc(summary->item_count + 1, sizeof(*items));
    sh_autofree char *hex = calloc(summary->item_count + 1, 65);
    struct sh_out_done done = {.items = items,
                               .item_count = summary->item_count,
                               .resumed = summary->resumed,
                               .seconds = (double)(now - events->started) / 1000.0};
    if (!items || !hex)
        return;
    for (size_t i = 0; i < summary->item_count; i++) {
        const struct sh_session_item *item = &summary->items[i];
        items[i] = (struct sh_out_item){.name = item->name, .size = item->size, .path = item->path};
        if (!item->has_sha256)
            continue;
        sh_hex(item->sha256, sizeof(item->sha256), hex + i * 65);
        items[i].sha256 = hex + i * 65;
    }
    for (int kind = 1; kind < SH_SESSION_KINDS; kind++) {
        if (summary->link_bytes[kind] == 0)
            continue;
        done.links[done.link_count].name = sh_link_kind_name(kind);
        done.links[done.link_count++].bytes = summary->link_bytes[kind];
    }
    sh_output_done(events->out, &done);
}

void sh_events_sleeps(struct sh_output *out)
{
    sh_output_note(out, "This machine goes to sleep; the transfer goes on when it wakes.");
}

void sh_events_slept(struct sh_output *out, sh_ms slept)
{
    const char *message = sh_cause_info(SH_SESSION_SUSPENDED)->message;
    unsigned long long seconds = (slept + 500) / 1000;
    if (seconds > 0)
        sh_output_note_of(out, SH_SESSION_SUSPENDED, "%s For %llu s; the transfer goes on.",
                          message, seconds);
    else
        sh_output_note_of(out, SH_SESSION_SUSPENDED, "%s The transfer goes on.", message);
}
