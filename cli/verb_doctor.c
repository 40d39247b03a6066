/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `simhop doctor`: looks at what a sync needs on this device, before there is a peer. It changes nothing: a state folder
 * that is not there yet is not made. Each check is a row; it gives a finding.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/output_form.h"
#include "cli/verb.h"
#include "crypto/identity.h"
#include "pairing/ble_sim.h"
#include "pairing/registry.h"

#define NM_DIR        "/etc/NetworkManager/system-connections"
#define SPACE_NEEDED  (UINT64_C(1) << 20)  /* registry, bundle */
#define SPACE_COMFORT (UINT64_C(64) << 20) /* less is worth a word */

struct values {
    struct sh_common common;
    const char *dir, *nm_dir;
};

enum level { FINE, WARNING, PROBLEM };

/* What one check found. text is a line for a person; next NULL = that of the cause's table. */
struct finding {
    enum level level;
    enum sh_cause cause;
    char text[256];
    const char *next;
};

SH_PRINTF(2, 3) static struct finding fine(enum level level, const char *format, ...)
{
    struct finding f = {.level = level, .cause = SH_OK};
    va_list args;
    va_start(args, format);
    vsnprintf(f.text, sizeof(f.text), format, args);
    va_end(args);
    return f;
}

/* What a function that failed says: its cause and detail. */
static struct finding failed(enum level level, enum sh_cause cause, const char *next)
{
    struct finding f = {.level = level, .cause = cause, .next = next};
    const char *detail = sh_detail();
    snprintf(f.text, sizeof(f.text), "%s", *detail ? detail : sh_cause_info(cause)->message);
    return f;
}

/* ---- State ---- */

/* Can this path, or where it would be made, be written? The nearest folder that is there decides. */
static struct finding writable(const char *path, const char *ready, const char *absent)
{
    char folder[4096];
    struct stat st;
    if (!sh_strcopy(folder, sizeof(folder), path))
        return failed(PROBLEM, sh_fail(SH_USAGE_BAD_OPTION, "%s: the path is too long", path),
                      NULL);
    while (stat(folder, &st) != 0 && errno == ENOENT) {
        char *slash = strrchr(folder, '/');
        if (!slash)
            strcpy(folder, ".");
        else
            slash[slash == folder] = '\0';
    }
    if (access(folder, W_OK | X_OK) != 0)
        return failed(PROBLEM, sh_cause_of_errno(errno, folder), NULL);
    return fine(FINE, "%s: %s", path, strcmp(folder, path) == 0 ? ready : absent);
}

static struct finding check_state(const struct values *v)
{
    const char *path = v->common.state;
    struct stat st;
    if (stat(path, &st) != 0)
        return writable(path, "", "will be made at the first share or sync");
    if (!S_ISDIR(st.st_mode))
        return failed(PROBLEM, sh_cause_of_errno(ENOTDIR, path), "Name a folder with `--state`.");
    if (st.st_uid != geteuid() && geteuid() != 0)
        return failed(PROBLEM, sh_fail(SH_ENV_PERMISSION, "%s: belongs to another user", path),
                      NULL);
    if (st.st_mode & 077)
        return failed(PROBLEM,
                      sh_fail(SH_ENV_PERMISSION, "%s: others may look in (mode %03o)", path,
                              (unsigned)st.st_mode & 0777),
                      "Close it: `chmod 700` on that folder.");
    return writable(path, "private and writable", "");
}

/* Is there such a file in the state folder? */
static bool has_file(const struct values *v, const char *name)
{
    char path[4096 + 32];
    snprintf(path, sizeof(path), "%s/%s", v->common.state, name);
    return access(path, F_OK) == 0;
}

static struct finding check_registry(const struct values *v)
{
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    sh_autofree struct sh_device *devices = NULL;
    size_t count = 0;
    if (!has_file(v, "registry.db"))
        return fine(FINE, "none yet; no device is linked");
    enum sh_cause cause = sh_registry_open(v->common.state, &registry);
    if (cause == SH_OK)
        cause = sh_registry_list_devices(registry, time(NULL), &devices, &count);
    if (cause != SH_OK)
        return failed(PROBLEM, cause, NULL);
    return fine(FINE, "opens; %zu device%s", count, count == 1 ? "" : "s");
}

static struct finding check_keys(const struct values *v)
{
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    char id[2 * SH_DEVICE_ID_SIZE + 1];
    if (!has_file(v, "device.key"))
        return fine(FINE, "none yet; will be made at the first share or sync");
    enum sh_cause cause = sh_identity_load(v->common.state, &identity);
    if (cause != SH_OK)
        return failed(PROBLEM, cause, NULL);
    sh_hex(identity->id, sizeof(identity->id), id);
    return fine(FINE, "device id %s", id);
}

/* ---- Radio ---- */

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
    static const struct sh_ble_ops ops = {ignore_heard, ignore_stream, ignore_cause,
                                          ignore_rssi,  ignore_cause,  NULL};
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

static struct finding check_radio(const struct values *v)
{
    const char *radio = v->common.radio;
    if (!radio || strcmp(radio, "bluez") == 0)
        return failed(PROBLEM,
                      sh_fail(SH_ENV_NO_RADIO, "bluez: this version has the simulated air only"),
                      "Use `--radio sim:DIR`, with the same folder on both sides.");
    enum sh_cause cause = try_sim(radio + strlen("sim:"), v->common.name);
    if (cause != SH_OK)
        return failed(PROBLEM, cause, NULL);
    return fine(FINE, "%s: simulated air, %s can take its place", radio, v->common.name);
}

/* ---- Network ---- */

static struct finding check_lan(const struct values *v)
{
    struct finding f = fine(FINE, "%s", "");
    struct ifaddrs *all = NULL;
    size_t n = 0;
    if (v->common.wifi && strcmp(v->common.wifi, "none") == 0)
        return fine(FINE, "switched off by --wifi none; transfers go over the radio");
    if (getifaddrs(&all) != 0)
        return failed(WARNING, sh_cause_of_errno(errno, "addresses of this device"), NULL);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;
        if ((family != AF_INET && family != AF_INET6) || !(a->ifa_flags & IFF_UP) ||
            (a->ifa_flags & IFF_LOOPBACK) ||
            (v->common.wifi && strcmp(v->common.wifi, a->ifa_name) != 0))
            continue;
        const void *address =
            family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr
                : (const void *)&((const struct sockaddr_in6 *)(const void *)a->ifa_addr)
                      ->sin6_addr;
        if (inet_ntop(family, address, text, sizeof(text)) && n < sizeof(f.text)) {
            int more = snprintf(f.text + n, sizeof(f.text) - n, "%s%s %s", n ? ", " : "",
                                a->ifa_name, text);
            n += more > 0 ? (size_t)more : 0;
        }
    }
    freeifaddrs(all);
    if (n)
        return f;
    f = failed(WARNING, sh_fail(SH_LINK_NONE, "no address but loopback"),
               "Join a network for speed; transfers go over the radio alone.");
    return f;
}

static struct finding check_network_manager(const struct values *v)
{
    const char *path = v->nm_dir ? v->nm_dir : NM_DIR;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return failed(
            WARNING, sh_fail(SH_INSTALL_WRITE, "%s: no such folder", path),
            "Install NetworkManager to have lines set up; without it they are only kept.");
    if (access(path, W_OK | X_OK) != 0)
        return failed(WARNING, sh_fail(SH_INSTALL_PERMISSION, "%s: %s", path, strerror(errno)),
                      NULL);
    return fine(FINE, "%s: writable", path);
}

/* ---- Space, random numbers, library ---- */

static struct finding check_folder(const struct values *v)
{
    return writable(v->dir ? v->dir : ".", "writable", "will be made");
}

static struct finding check_space(const struct values *v)
{
    const char *path = v->dir && access(v->dir, F_OK) == 0 ? v->dir : ".";
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return failed(PROBLEM, sh_cause_of_errno(errno, path), NULL);
    uint64_t free_octets = (uint64_t)fs.f_bavail * fs.f_frsize;
    enum sh_cause cause = SH_OK;
    if (free_octets < SPACE_COMFORT)
        cause = sh_fail(SH_STORE_NO_SPACE, "%s: %llu KiB free", path,
                        (unsigned long long)(free_octets >> 10));
    if (cause != SH_OK)
        return failed(free_octets < SPACE_NEEDED ? PROBLEM : WARNING, cause, NULL);
    return fine(FINE, "%s: %llu MiB free", path, (unsigned long long)(free_octets >> 20));
}

static struct finding check_random(const struct values *v)
{
    uint8_t some[16];
    (void)v;
    if (getentropy(some, sizeof(some)) != 0)
        return failed(PROBLEM, sh_fail(SH_ENV_RANDOM, "kernel: %s", strerror(errno)), NULL);
    enum sh_cause cause = sh_random(some, sizeof(some));
    if (cause != SH_OK)
        return failed(PROBLEM, cause, NULL);
    return fine(FINE, "kernel and library give random numbers");
}

static struct finding check_openssl(const struct values *v)
{
    uint8_t hash[32];
    (void)v;
    if (OPENSSL_version_major() < 3)
        return failed(PROBLEM,
                      sh_fail(SH_ENV_CRYPTO, "%s: 3.0 is needed", OpenSSL_version(OPENSSL_VERSION)),
                      NULL);
    enum sh_cause cause = sh_sha256(NULL, 0, hash);
    if (cause != SH_OK)
        return failed(PROBLEM, cause, NULL);
    return fine(FINE, "%s", OpenSSL_version(OPENSSL_VERSION));
}

/* ---- The round ---- */

static const struct {
    const char *name;
    struct finding (*run)(const struct values *values);
} checks[] = {
    {"state", check_state},   {"registry", check_registry},
    {"keys", check_keys},     {"radio", check_radio},
    {"lan", check_lan},       {"network-manager", check_network_manager},
    {"folder", check_folder}, {"space", check_space},
    {"random", check_random}, {"openssl", check_openssl},
};

static void say(struct sh_output *out, const char *name, const struct finding *f)
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
    sh_output_note(out, "%-7s  %-15s  %s", levels[f->level], name, f->text);
    if (f->cause != SH_OK)
        sh_output_note(out, "%-7s  %-15s  (%s) Next: %s", "", "", info->name, next);
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    struct finding worst = {.cause = SH_OK};
    unsigned warnings = 0, problems = 0;
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: doctor takes options only", argv[0]);
    for (size_t i = 0; i < SH_COUNT(checks); i++) {
        sh_detail_clear();
        struct finding f = checks[i].run(values);
        say(out, checks[i].name, &f);
        warnings += f.level == WARNING;
        problems += f.level == PROBLEM;
        if (f.level == PROBLEM && worst.cause == SH_OK)
            worst = f;
    }
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "doctor");
        sh_json_uint(event, "problems", problems);
        sh_json_uint(event, "warnings", warnings);
        sh_json_emit(out, event);
    } else {
        sh_output_note(out, problems   ? "A sync cannot work here yet."
                            : warnings ? "A sync can work; see the warnings."
                                       : "A sync can work.");
    }
    return worst.cause == SH_OK ? SH_OK : sh_fail(worst.cause, "%s", worst.text);
}

static const struct sh_option options[] = {
    {"dir", 0, SH_OPTION_TEXT, "DIR", "Folder that `simhop sync` would put items into (here).",
     offsetof(struct values, dir)},
    {"nm-dir", 0, SH_OPTION_TEXT, "DIR", "Folder of NetworkManager's keyfiles (" NM_DIR ").",
     offsetof(struct values, nm_dir)},
    {0},
};

const struct sh_verb sh_verb_doctor = {
    .name = "doctor",
    .usage = "[options]",
    .summary = "Says what is missing on this device for a sync to work",
    .text = "Looks and changes nothing. Each line is ok, a warning (a sync works without it) or a\n"
            "problem, with its cause and the next step. Exit status 8 while there is a problem.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
