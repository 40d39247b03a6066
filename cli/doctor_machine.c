/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a sync needs of the rest of the machine: addresses, folders to write into, space, random numbers, the library. */
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

#include "cli/doctor.h"
#include "crypto/keys.h"

#define SPACE_NEEDED  (UINT64_C(1) << 20)  /* registry, bundle */
#define SPACE_COMFORT (UINT64_C(64) << 20) /* less is worth a word */

static struct sh_finding check_lan(struct sh_doctor *doctor)
{
    struct sh_finding f = sh_doctor_fine("%s", "");
    struct ifaddrs *all = NULL;
    size_t n = 0;
    if (doctor->common.wifi && strcmp(doctor->common.wifi, "none") == 0)
        return sh_doctor_fine("switched off by --wifi none; transfers go over the radio");
    if (getifaddrs(&all) != 0)
        return sh_doctor_failed(SH_WARNING, sh_cause_of_errno(errno, "addresses of this device"),
                                NULL);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;
        if ((family != AF_INET && family != AF_INET6) || !(a->ifa_flags & IFF_UP) ||
            (a->ifa_flags & IFF_LOOPBACK) ||
            (doctor->common.wifi && strcmp(doctor->common.wifi, a->ifa_name) != 0))
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
    f = sh_doctor_failed(SH_WARNING, sh_fail(SH_LINK_NONE, "no address but loopback"),
                         "Join a network for speed; transfers go over the radio alone.");
    return f;
}

static struct sh_finding check_network_manager(struct sh_doctor *doctor)
{
    const char *path = doctor->nm_dir ? doctor->nm_dir : SH_DOCTOR_NM_DIR;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return sh_doctor_failed(
            SH_WARNING, sh_fail(SH_INSTALL_WRITE, "%s: no such folder", path),
            "Install NetworkManager to have lines set up; without it they are only kept.");
    if (access(path, W_OK | X_OK) != 0)
        return sh_doctor_failed(
            SH_WARNING, sh_fail(SH_INSTALL_PERMISSION, "%s: %s", path, strerror(errno)), NULL);
    return sh_doctor_fine("%s: writable", path);
}

static struct sh_finding check_folder(struct sh_doctor *doctor)
{
    return sh_doctor_writable(doctor->dir ? doctor->dir : ".", "writable", "will be made");
}

static struct sh_finding check_space(struct sh_doctor *doctor)
{
    const char *path = doctor->dir && access(doctor->dir, F_OK) == 0 ? doctor->dir : ".";
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return sh_doctor_failed(SH_PROBLEM, sh_cause_of_errno(errno, path), NULL);
    uint64_t free_octets = (uint64_t)fs.f_bavail * fs.f_frsize;
    enum sh_cause cause = SH_OK;
    if (free_octets < SPACE_COMFORT)
        cause = sh_fail(SH_STORE_NO_SPACE, "%s: %llu KiB free", path,
                        (unsigned long long)(free_octets >> 10));
    if (cause != SH_OK)
        return sh_doctor_failed(free_octets < SPACE_NEEDED ? SH_PROBLEM : SH_WARNING, cause, NULL);
    return sh_doctor_fine("%s: %llu MiB free", path, (unsigned long long)(free_octets >> 20));
}

static struct sh_finding check_random(struct sh_doctor *doctor SH_UNUSED)
{
    uint8_t some[16];
    if (getentropy(some, sizeof(some)) != 0)
        return sh_doctor_failed(SH_PROBLEM, sh_fail(SH_ENV_RANDOM, "kernel: %s", strerror(errno)),
                                NULL);
    enum sh_cause cause = sh_random(some, sizeof(some));
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    return sh_doctor_fine("kernel and library give random numbers");
}

static struct sh_finding check_openssl(struct sh_doctor *doctor SH_UNUSED)
{
    uint8_t hash[32];
    if (OPENSSL_version_major() < 3)
        return sh_doctor_failed(
            SH_PROBLEM,
            sh_fail(SH_ENV_CRYPTO, "%s: 3.0 is needed", OpenSSL_version(OPENSSL_VERSION)), NULL);
    enum sh_cause cause = sh_sha256(NULL, 0, hash);
    if (cause != SH_OK)
        return sh_doctor_failed(SH_PROBLEM, cause, NULL);
    return sh_doctor_fine("%s", OpenSSL_version(OPENSSL_VERSION));
}

const struct sh_check sh_doctor_lan_checks[] = {
    {"lan", check_lan},
    {0},
};

const struct sh_check sh_doctor_machine_checks[] = {
    {"network-manager", check_network_manager},
    {"folder", check_folder},
    {"space", check_space},
    {"random", check_random},
    {"openssl", check_openssl},
    {0},
};
