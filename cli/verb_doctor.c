/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `simhop doctor`: looks at what a sync needs on this device, before there is a peer. It changes nothing: a state folder
 * that is not there yet is not made. The checks stand in cli/doctor_*.c.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/output_form.h"
#include "cli/verb.h"

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
        sh_json_emit(out, event);
        return;
    }
    sh_output_note(out, "%-7s  %-16s  %s", levels[f->level], name, f->text);
    if (f->cause != SH_OK)
        sh_output_note(out, "%-7s  %-16s  (%s) Next: %s", "", "", info->name, next);
}

/* ---- The round ---- */

/* What is looked at now; for when it hangs. */
static const char *volatile now_at = "";

static void on_alarm(int number)
{
    static const char hangs[] = " did not end within its limit; doctor gives up.\n";
    (void)number;
    if (write(STDERR_FILENO, "simhop: the check ", 18) < 0 ||
        write(STDERR_FILENO, now_at, strlen(now_at)) < 0 ||
        write(STDERR_FILENO, hangs, sizeof(hangs) - 1) < 0)
        _exit(SH_CAT_ENVIRONMENT);
    _exit(SH_CAT_ENVIRONMENT);
}

static void set_limit(unsigned ms)
{
    const struct itimerval limit = {
        .it_value = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000}};
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &limit, NULL);
}

struct tally {
    unsigned warnings, problems;
    struct sh_finding worst; /* the first problem */
};

static void run_checks(struct sh_doctor *doctor, const struct sh_check *checks,
                       struct sh_output *out, struct tally *tally)
{
    for (; checks->name; checks++) {
        now_at = checks->name;
        sh_detail_clear();
        struct sh_finding f = checks->run(doctor);
        if (f.level == SH_LEVELS)
            continue;
        say(out, checks->name, &f);
        tally->warnings += f.level == SH_WARNING;
        tally->problems += f.level == SH_PROBLEM;
        if (f.level == SH_PROBLEM && tally->worst.cause == SH_OK)
            tally->worst = f;
    }
}

static void sum_up(struct sh_output *out, const struct tally *tally)
{
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "doctor");
        sh_json_uint(event, "problems", tally->problems);
        sh_json_uint(event, "warnings", tally->warnings);
        sh_json_emit(out, event);
    } else {
        sh_output_note(out, tally->problems   ? "A sync cannot work here yet."
                            : tally->warnings ? "A sync can work; see the warnings."
                                              : "A sync can work.");
    }
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    struct sh_doctor *doctor = values;
    struct tally tally = {.worst = {.cause = SH_OK}};
    const char *radio = doctor->common.radio;
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: doctor takes options only", argv[0]);
    if (radio && strncmp(radio, "sim:", 4) != 0 && strcmp(radio, "bluez") != 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "--radio %s: bluez or sim:DIR", radio);
    bool sim = radio && strcmp(radio, "bluez") != 0;
    set_limit(SH_DOCTOR_MS);
    run_checks(doctor, sh_doctor_state_checks, out, &tally);
    run_checks(doctor, sim ? sh_doctor_sim_checks : sh_doctor_bluetooth_checks, out, &tally);
    if (!sim && sh_doctor_wants_wifi(doctor))
        run_checks(doctor, sh_doctor_wifi_checks, out, &tally);
    run_checks(doctor, sh_doctor_machine_checks, out, &tally);
    set_limit(0);
    sh_doctor_bus_clear(&doctor->bus);
    sum_up(out, &tally);
    const struct sh_finding *worst = &tally.worst;
    return worst->cause == SH_OK ? SH_OK : sh_fail(worst->cause, "%s", worst->text);
}

static const struct sh_option options[] = {
    {"dir", 0, SH_OPTION_TEXT, "DIR", "Folder that `simhop sync` would put items into (here).",
     offsetof(struct sh_doctor, dir)},
    {"nm-dir", 0, SH_OPTION_TEXT, "DIR",
     "Folder of NetworkManager's keyfiles (" SH_DOCTOR_NM_DIR ").",
     offsetof(struct sh_doctor, nm_dir)},
    {0},
};

const struct sh_verb sh_verb_doctor = {
    .name = "doctor",
    .usage = "[options]",
    .summary = "Says what is missing on this device for a sync to work",
    .text =
        "Looks and changes nothing, within some ten seconds. Each line is ok, a warning (a sync\n"
        "works without it) or a problem, with its cause and the next step. Exit status 8 while\n"
        "there is a problem.\n",
    .options = options,
    .values_size = sizeof(struct sh_doctor),
    .run = run,
};
