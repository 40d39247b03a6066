/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `simhop doctor`: looks at what a sync needs on this device, before there is a peer; with --peer whether linked devices can be
 * reached. It changes nothing: a state folder that is not there yet is not made. The checks stand in cli/doctor_*.c.
 */
#include "cli/doctor.h"
#include "cli/output_form.h"
#include "cli/verb.h"

static void peer_json(cJSON *event, const struct sh_peer_facts *peer)
{
    sh_json_text(event, "peer", peer->name);
    if (!peer->address) {
        sh_json_int(event, "token_until", peer->token_until);
        sh_json_int(event, "last_seen", peer->last_seen);
        return;
    }
    sh_json_text(event, "address", peer->address);
    sh_json_uint(event, "port", peer->port);
    if (peer->rtt >= 0)
        sh_json_int(event, "rtt_ms", peer->rtt);
    else
        sh_json_text(event, "rtt_ms", NULL);
}

static void say(struct sh_output *out, const char *name, const struct sh_finding *f)
{
    static const char *const levels[] = {"ok", "warning", "problem"};
    const struct sh_cause_info *info = sh_cause_info(f->cause);
    const char *next = f->cause == SH_OK ? NULL : f->next ? f->next : info->next;
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "check");
        sh_json_text(event, "check", name);
        sh_json_text(event, "result", levels[f->level]);
        sh_json_text(event, "text", f->text);
        sh_json_text(event, "cause", f->cause == SH_OK ? NULL : info->name);
        sh_json_text(event, "next", next);
        if (f->peer)
            peer_json(event, f->peer);
        sh_json_emit(out, event);
        return;
    }
    sh_output_note(out, "%-7s  %-16s  %s", levels[f->level], name, f->text);
    if (f->cause != SH_OK)
        sh_output_note(out, "%-7s  %-16s  (%s) Next: %s", "", "", info->name, next);
}

struct tally {
    struct sh_output *out;
    unsigned warnings, problems;
    struct sh_finding worst; /* the first problem */
};

static void take(const char *name, const struct sh_finding *f, void *user)
{
    struct tally *tally = user;
    say(tally->out, name, f);
    tally->warnings += f->level == SH_WARNING;
    tally->problems += f->level == SH_PROBLEM;
    if (f->level == SH_PROBLEM && tally->worst.cause == SH_OK) {
        tally->worst = *f;
        tally->worst.peer = NULL; /* lives for this call only */
    }
}

static void sum_up(const struct sh_doctor *doctor, const struct tally *tally)
{
    struct sh_output *out = tally->out;
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "doctor");
        sh_json_uint(event, "problems", tally->problems);
        sh_json_uint(event, "warnings", tally->warnings);
        sh_json_emit(out, event);
    } else if (doctor->peer) {
        sh_output_note(out, tally->problems ? "Not all that was asked for can be reached over a "
                                              "network; see the problems."
                                            : "It can be reached over a network.");
    } else {
        sh_output_note(out, tally->problems   ? "A sync cannot work here yet."
                            : tally->warnings ? "A sync can work; see the warnings."
                                              : "A sync can work.");
    }
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    struct sh_doctor *doctor = values;
    struct tally tally = {.out = out, .worst = {.cause = SH_OK}};
    if (argc > 1 || (argc > 0 && !doctor->peer))
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: doctor takes options only", argv[argc - 1]);
    doctor->peer_name = argc > 0 ? argv[0] : NULL;
    SH_TRY(sh_doctor_round(doctor, take, &tally));
    sum_up(doctor, &tally);
    const struct sh_finding *worst = &tally.worst;
    return worst->cause == SH_OK ? SH_OK : sh_fail(worst->cause, "%s", worst->text);
}

static const struct sh_option options[] = {
    {"dir", 0, SH_OPTION_TEXT, "DIR", "Folder that `simhop sync` would put items into (here).",
     offsetof(struct sh_doctor, dir)},
    {"nm-dir", 0, SH_OPTION_TEXT, "DIR",
     "Folder of NetworkManager's keyfiles (" SH_DOCTOR_NM_DIR ").",
     offsetof(struct sh_doctor, nm_dir)},
    {"peer", 0, SH_OPTION_FLAG, NULL,
     "Is a linked device, or that of NAME, reached over a network?",
     offsetof(struct sh_doctor, peer)},
    {0},
};

const struct sh_verb sh_verb_doctor = {
    .name = "doctor",
    .usage = "[--peer [NAME]] [options]",
    .summary = "Says what is missing on this device for a sync to work",
    .text =
        "Looks and changes nothing, within some ten seconds. Each line is ok, a warning (a sync\n"
        "works without it) or a problem, with its cause and the next step. Exit status 8 while\n"
        "there is a problem. With --peer linked devices are looked at instead: each address that "
        "is\n"
        "known of one is dialled, and what is in the way is named; that device takes no notice.\n"
        "The exit status is then that of the problem's cause.\n",
    .options = options,
    .values_size = sizeof(struct sh_doctor),
    .run = run,
};
