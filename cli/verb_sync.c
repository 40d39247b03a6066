/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop sync`: on the device that shall have the lines. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/arrived.h"
#include "cli/consent.h"
#include "cli/sync.h"
#include "cli/trace_file.h"
#include "cli/verb_sync.h"
#include "profile/activation_code.h"
#include "system/clock.h"
#include "system/signals.h"

static const struct sh_option options[] = {
    {"anchor", 0, SH_OPTION_TEXT, "NAME", "Only from the device of this name.",
     offsetof(struct sh_sync_values, anchor)},
    {"dir", 0, SH_OPTION_TEXT, "DIR", "Folder for the files that arrive (the current one).",
     offsetof(struct sh_sync_values, dir)},
    {"pair", 0, SH_OPTION_FLAG, NULL, "Link with a code, even if the devices are linked.",
     offsetof(struct sh_sync_values, pair)},
    SH_SYNC_ROWS,
    {0},
};

static enum sh_cause arrived_copy(const struct sh_session_summary *summary, void *user)
{
    return sh_arrived_copy(user, summary);
}

static enum sh_cause check_options(const struct sh_sync_values *v, struct sh_sync_config *config)
{
    if (v->eid && !sh_eid_is_valid(v->eid))
        return sh_fail(SH_USAGE_BAD_OPTION, "--eid: 32 digits with a right check value are wanted");
    if (v->hook && v->hook[0] != '/')
        return sh_fail(SH_USAGE_BAD_OPTION, "--hook %s: an absolute path is wanted", v->hook);
    config->device_kind = sh_device_kind_by_name(v->kind ? v->kind : "tablet");
    if (config->device_kind < 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "--kind %s: tablet, laptop, watch, phone or iot",
                       v->kind);
    config->eid = v->eid ? v->eid : "";
    config->code_fd = v->code_fd >= 0 ? (int)v->code_fd : STDIN_FILENO;
    return SH_OK;
}

/* The folder's full path (made if absent), so that what is remembered of a file holds wherever we run next. */
static enum sh_cause open_dir(const char *dir, char full[PATH_MAX])
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return sh_cause_of_errno(errno, dir);
    if (!realpath(dir, full))
        return sh_cause_of_errno(errno, dir);
    struct stat st;
    if (stat(full, &st) != 0 || !S_ISDIR(st.st_mode))
        return sh_fail(SH_USAGE_BAD_OPTION, "--dir %s: not a folder", dir);
    return SH_OK;
}

/* While installers run there is no loop: signals are met by a descriptor that they watch. One that came since the loop looked last waits
 * there already. */
static enum sh_cause install(const struct sh_sync_values *v, const struct sh_arrived *arrived,
                             struct sh_output *out, struct sh_events *events)
{
    struct sh_install_config config = {.nm_dir = v->nm_dir, .hook = v->hook, .cancel_fd = 0};
    sh_autoclose int fd = -1;
    if (v->no_install)
        return SH_OK;
    SH_TRY(sh_signals_open(&fd, NULL));
    config.cancel_fd = fd;
    sh_ms left = sh_options_left(&v->common);
    config.ends_at = left == SH_NEVER ? 0 : sh_now() + left;
    if (sh_signals_take(fd))
        return SH_SESSION_INTERRUPTED;
    sh_events_phase(events, SH_PHASE_INSTALL, NULL);
    enum sh_cause cause = sh_arrived_install(arrived, &config, out);
    return cause == SH_OK && sh_signals_take(fd) ? SH_SESSION_INTERRUPTED : cause;
}

static enum sh_cause go(const struct sh_sync_values *v, struct sh_registry *registry,
                        struct sh_output *out, struct sh_trace_file **ret_trace)
{
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    SH_CLEANUP(sh_arrived_clear) struct sh_arrived arrived = {0};
    char dir[PATH_MAX];
    struct sh_sync_config config = {.common = &v->common,
                                    .out = out,
                                    .anchor = v->anchor,
                                    .anchor_id = v->anchor_id,
                                    .dir = dir,
                                    .pair = v->pair,
                                    .take_wifi = v->take_wifi,
                                    .started = sh_now(),
                                    .arrived = arrived_copy,
                                    .user = &arrived};
    SH_TRY(check_options(v, &config));
    SH_TRY(sh_identity_load(v->common.state, &identity));
    SH_TRY(open_dir(v->dir ? v->dir : ".", dir));
    SH_TRY(sh_consent_policy(&v->common, out, config.code_fd, &config.policy));
    const struct sh_trace_start start = {
        .common = &v->common, .role = SH_SECONDARY, .policy = config.policy, .pair = v->pair};
    *ret_trace = sh_trace_file_open(&start);
    config.identity = identity;
    config.registry = registry;
    config.tracer = sh_trace_file_tracer(*ret_trace);
    SH_TRY(sh_sync_run(&config));
    struct sh_events events = {
        .out = out, .tracer = config.tracer, .role = "secondary", .started = config.started};
    SH_TRY(install(v, &arrived, out, &events));
    sh_events_phase(&events, SH_PHASE_LINKED, NULL);
    sh_events_done(&events, &arrived.summary, sh_now());
    return SH_OK;
}

enum sh_cause sh_sync_verb_run(const struct sh_sync_values *v, struct sh_registry *registry,
                               struct sh_output *out)
{
    struct sh_trace_file *trace = NULL;
    enum sh_cause cause = go(v, registry, out, &trace);
    sh_trace_file_close(trace, cause);
    return cause;
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct sh_sync_values *v = values;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: sync takes options only", argv[0]);
    SH_TRY(sh_registry_open(v->common.state, &registry));
    return sh_sync_verb_run(v, registry, out);
}

const struct sh_verb sh_verb_sync = {
    .name = "sync",
    .usage = "[--anchor NAME] [--dir DIR] [options]",
    .summary = "Take over lines and files from a device held beside this one",
    .text =
        "Looks for a device within one metre that runs `simhop share`, asks for the code that\n"
        "it shows, receives and verifies, then installs: APNs into NetworkManager, everything\n"
        "to the hook. Run again after an interruption it goes on where it was, without a code.\n",
    .options = options,
    .values_size = sizeof(struct sh_sync_values),
    .run = run,
};
