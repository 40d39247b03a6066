/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop proximity`: who is near; or, with --replay, what the engine says of a recorded trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output_form.h"
#include "cli/verb.h"
#include "cli/watch.h"
#include "pairing/replay.h"

#define READ_SIZE 65536

struct values {
    struct sh_common common;
    bool replay;
    const char *anchor;
};

static const struct sh_option options[] = {
    {"replay", 0, SH_OPTION_FLAG, NULL, "Judge a trace from standard input.",
     offsetof(struct values, replay)},
    {"anchor", 0, SH_OPTION_TEXT, "NAME", "Watch only the linked device of this name.",
     offsetof(struct values, anchor)},
    {0},
};

/* ---- A recorded trace ---- */

static enum sh_cause read_trace(struct sh_replay *replay)
{
    sh_autofree uint8_t *buffer = malloc(READ_SIZE);
    if (!buffer)
        return SH_ENV_NO_MEMORY;
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buffer, READ_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sh_fail(SH_SOURCE_UNREADABLE, "standard input: %s", strerror(errno));
        if (n == 0)
            return SH_OK;
        SH_TRY(sh_replay_rx(replay, SH_BYTES(buffer, n)));
    }
}

static void say_text(struct sh_output *out, const struct sh_replay_result *result, bool accept)
{
    char line[96];
    snprintf(line, sizeof(line), "%s %.3f %.2f\n", accept ? "accept" : "reject",
             (double)result->decided_at / 1000.0, result->margin_db);
    sh_output_text(out, line);
}

static void say_json(struct sh_output *out, const struct sh_replay_result *result, bool accept)
{
    const struct sh_proximity_evidence *evidence = &result->estimate.evidence;
    cJSON *event = sh_json_event(out, "replay");
    cJSON_AddBoolToObject(event, "accept", accept);
    sh_json_double(event, "decided_at", (double)result->decided_at / 1000.0, 3);
    sh_json_double(event, "margin", result->margin_db, 2);
    sh_json_double(event, "metres", result->estimate.metres, 2);
    sh_json_double(event, "score", evidence->score_db, 2);
    sh_json_double(event, "asked", evidence->score_db - evidence->margin_db, 2);
    sh_json_double(event, "spread", evidence->spread_db, 2);
    sh_json_double(event, "asymmetry", evidence->asymmetry_db, 2);
    sh_json_uint(event, "blocks", evidence->blocks);
    sh_json_uint(event, "samples", evidence->samples[SH_SIDE_OURS]);
    sh_json_uint(event, "peer_samples", evidence->samples[SH_SIDE_THEIRS]);
    sh_json_uint(event, "refused", evidence->refused);
    sh_json_double(event, "rate", evidence->rate_hz, 1);
    cJSON_AddBoolToObject(event, "moved", evidence->moved);
    sh_json_text(event, "advice", sh_advice_name(result->estimate.advice));
    sh_json_text(event, "level", sh_level_kind_name(result->level.kind));
    sh_json_double(event, "level_dbm", result->level.dbm, 1);
    sh_json_emit(out, event);
}

static enum sh_cause replay(struct sh_output *out)
{
    struct sh_replay_result result;
    SH_CLEANUP(sh_replay_freep) struct sh_replay *replay = sh_replay_new(SH_PROXIMITY_NORMAL);
    if (!replay)
        return SH_ENV_NO_MEMORY;
    SH_TRY(read_trace(replay));
    SH_TRY(sh_replay_end(replay, &result));
    bool accept = result.estimate.verdict == SH_PROXIMITY_ACCEPT;
    if (sh_output_is_json(out))
        say_json(out, &result, accept);
    else
        say_text(out, &result, accept);
    return SH_OK;
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct values *v = values;
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: proximity takes options only", argv[0]);
    if (v->replay && v->anchor)
        return sh_fail(SH_USAGE_BAD_OPTION, "proximity: --replay and --anchor do not go together");
    if (v->replay)
        return replay(out);
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    SH_TRY(sh_registry_open(v->common.state, &registry));
    return sh_watch_run(&v->common, out, registry, v->anchor);
}

const struct sh_verb sh_verb_proximity = {
    .name = "proximity",
    .usage = "[--anchor NAME | --replay < TRACE] [options]",
    .summary = "Watch how near a sharing device is, or judge a recorded trace",
    .text =
        "Shows how near the nearest device that runs `simhop share` is, with the last minute, "
        "until\n"
        "it is interrupted or --deadline is over.\n"
        "\n"
        "--replay reads one trace, by the very engine that live sessions use, and prints\n"
        "`accept` or `reject`, the second at which that was decided, and by how many dB it was\n"
        "clear (higher = nearer, below 0 = rejected). A trace is a line\n"
        "  # tx_power_dbm=V ref1m_dbm=V ref1m_peer_dbm=V          (nan: unknown)\n"
        "and then lines `SECONDS DBM L`, or R for what the other device heard.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
