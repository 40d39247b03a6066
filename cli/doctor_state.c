/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a sync needs of this device's own files, and the simulated radio. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "crypto/identity.h"
#include "pairing/ble_sim.h"
#include "pairing/registry.h"

static struct sh_finding check_state(struct sh_doctor *doctor)
{
    const char *path = doctor->common.state;
    struct stat st;
    if (stat(path, &st) != 0)
        return sh_doctor_writable(path, "", "will be made at the first share or sync");
    if (!S_ISDIR(st.st_mode))
        return sh_doctor_failed(SH_PROBLEM, sh_cause_of_errno(ENOTDIR, path),
                                "Name a folder with `--state`.");
    if (st.st_uid != geteuid() && geteuid() != 0)
        return sh_doctor_failed(
            SH_PROBLEM, sh_fail(SH_ENV_PERMISSION, "%s: belongs to another user", path), NULL);
    if (st.st_mode & 077)
        return sh_doctor_failed(SH_PROBLEM,
                                sh_fail(SH_ENV_PERMISSION, "%s: others may look in (mode %03o)",
                                        path, (unsigned)st.st_mode & 0777),
                                "Close it: `chmod 700` on that folder.");
    return sh_doctor_writable(path, "private and writable", "");
}

bool sh_doctor_has_file(const struct sh_doctor *doctor, const char *name)
{
    char path[4096 + 32];
    snprintf(path, sizeof(path), "%s/%s", doctor->common.state, name);
    return access(path, F_OK) == 0;
}

static struct sh_finding check_registry(struct sh_doctor *doctor)
{
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    sh_autofree struct sh_device *devices = NULL;
    size_t count = 0;
    if (!sh_doctor_has_file(doctor, "registry.db"))
        return sh_doctor_fine("none yet; no device is linked");
    enum sh_cause cause = sh_registry_open(doctor->common.state, &registry);
    if (cause == SH_OK)
        cause = sh_registry_list_devices(registry, time(NULL), &devices, &count);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    return sh_doctor_fine("opens; %zu device%s", count, count == 1 ? "" : "s");
}

static struct sh_finding check_keys(struct sh_doctor *doctor)
{
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    char id[2 * SH_DEVICE_ID_SIZE + 1];
    if (!sh_doctor_has_file(doctor, "device.key"))
        return sh_doctor_fine("none yet; will be made at the first share or sync");
    enum sh_cause cause = sh_identity_load(doctor->common.state, &identity);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    sh_hex(identity->id, sizeof(identity->id), id);
    return sh_doctor_fine("device id %s", id);
}

const struct sh_check sh_doctor_state_checks[] = {
    {"state", check_state},
    {"registry", check_registry},
    {"keys", check_keys},
    {0},
};

/* ---- The simulated air ---- */

static void ignore_heard(const struct sh_ble_heard *heard, void *user)
{
    (void)heard;
    (void)user;
}

static void ignore_stream(struct sh_stream *stream, bool incoming, void *user)
{
    (void)stream;
    (void)incoming;
    (void)user;
}

static void ignore_cause(enum sh_cause cause, void *user)
{
    (void)cause;
    (void)user;
}

static void ignore_rssi(struct sh_stream *stream, int dbm, void *user)
{
    (void)stream;
    (void)dbm;
    (void)user;
}

/* Takes this device's place on the simulated air for a moment. */
static enum sh_cause try_sim(const char *dir, const char *name)
{
    static const struct sh_ble_ops ops = {.heard = ignore_heard,
                                          .stream = ignore_stream,
                                          .connect_failed = ignore_cause,
                                          .rssi = ignore_rssi,
                                          .failed = ignore_cause};
    struct sh_air_files *files = NULL;
    struct sh_ble *ble = NULL;
    SH_TRY(sh_air_files_open(dir, &files));
    struct event_base *base = event_base_new();
    enum sh_cause cause =
        base ? sh_ble_sim_new(base, files, dir, name, &ops, NULL, &ble) : SH_ENV_NO_MEMORY;
    if (ble)
        ble->driver->free(ble);
    if (base)
        event_base_free(base);
    sh_air_files_close(files);
    return cause;
}

static struct sh_finding check_radio(struct sh_doctor *doctor)
{
    const char *radio = doctor->common.radio;
    enum sh_cause cause = try_sim(radio + strlen("sim:"), doctor->common.name);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    return sh_doctor_fine("%s: simulated air, %s can take its place", radio, doctor->common.name);
}

const struct sh_check sh_doctor_sim_checks[] = {
    {"radio", check_radio},
    {0},
};
