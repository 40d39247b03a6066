/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/doctor.h"

struct sh_finding sh_doctor_fine(const char *format, ...)
{
    struct sh_finding f = {.level = SH_FINE, .cause = SH_OK};
    va_list args;
    va_start(args, format);
    vsnprintf(f.text, sizeof(f.text), format, args);
    va_end(args);
    return f;
}

struct sh_finding sh_doctor_told(enum sh_finding_level level, enum sh_cause cause,
                                 const char *detail, const char *next)
{
    struct sh_finding f = {.level = level, .cause = cause, .next = next};
    snprintf(f.text, sizeof(f.text), "%s", *detail ? detail : sh_cause_info(cause)->message);
    return f;
}

struct sh_finding sh_doctor_failed(enum sh_finding_level level, enum sh_cause cause,
                                   const char *next)
{
    return sh_doctor_told(level, cause, sh_detail(), next);
}

struct sh_finding sh_doctor_nothing(void)
{
    return (struct sh_finding){.level = SH_LEVELS, .cause = SH_OK};
}

/* The nearest folder that is there decides. */
struct sh_finding sh_doctor_writable(const char *path, const char *ready, const char *absent)
{
    char folder[4096];
    struct stat st;
    if (!sh_strcopy(folder, sizeof(folder), path))
        return sh_doctor_failed(
            SH_PROBLEM, sh_fail(SH_USAGE_BAD_OPTION, "%s: the path is too long", path), NULL);
    while (stat(folder, &st) != 0 && errno == ENOENT) {
        char *slash = strrchr(folder, '/');
        if (!slash)
            strcpy(folder, ".");
        else
            slash[slash == folder] = '\0';
    }
    if (access(folder, W_OK | X_OK) != 0)
        return sh_doctor_failed(SH_PROBLEM, sh_cause_of_errno(errno, folder), NULL);
    return sh_doctor_fine("%s: %s", path, strcmp(folder, path) == 0 ? ready : absent);
}

const struct sh_rfkill *sh_doctor_switches(struct sh_doctor *doctor)
{
    if (!doctor->switches_asked)
        sh_rfkill_read(NULL, doctor->switches);
    doctor->switches_asked = true;
    return doctor->switches;
}

bool sh_doctor_has_net_admin(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return syscall(SYS_capget, &header, data) == 0 &&
           data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
}
