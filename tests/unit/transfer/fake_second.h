/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a second station interface needs, without nl80211 and without wpa_supplicant: the kernel makes one end of a pair of virtual interfaces, the child is
 * a process that does nothing, and a scripted wpa_supplicant opens its control socket a moment after it was started. That it starts
 * is the first that it tells, and may be swallowed too. The functions that are defined here take the place of those of transfer/wifi_nl.c
 * and of the C library's.
 */
#ifndef SIMHOP_TESTS_TRANSFER_FAKE_SECOND_H
#define SIMHOP_TESTS_TRANSFER_FAKE_SECOND_H

#include <sys/prctl.h>
#include <sys/syscall.h>

#include "transfer/wifi_nl.h"
#include "unit/transfer/wifi_pair.h"

#define SECOND_STARTS_MS 100

static struct fake_wpa wc;

enum sh_cause sh_wifi_nl_read(struct sh_wifi_radio *ret_radio)
{
    return fake_read(ret_radio);
}

enum sh_cause sh_wifi_nl_add_station(uint32_t phy SH_UNUSED, const char *name,
                                     const uint8_t mac[6] SH_UNUSED, uint32_t *ret_ifindex)
{
    assert_string_equal(name, "hop0");
    assert_int_equal(system("ip link add hop0 type veth peer name hop0-x"), 0);
    *ret_ifindex = if_nametoindex(name);
    return SH_OK;
}

enum sh_cause sh_wifi_nl_remove(uint32_t ifindex)
{
    assert_int_equal(ifindex, if_nametoindex("hop0"));
    assert_int_equal(system("ip link del hop0"), 0);
    return SH_OK;
}

/* It is installed. */
int access(const char *path, int mode)
{
    const char *name = strrchr(path, '/');
    if (mode == X_OK && name && strcmp(name, "/wpa_supplicant") == 0)
        return 0;
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

static void second_starts(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user SH_UNUSED)
{
    if (fake_swallows(&wc, "start") || if_nametoindex("hop0") == 0)
        return;
    assert_int_equal(system("ip link set hop0 up && ip link set hop0-x up"), 0);
    assert_int_equal(mkdir(wc.dir, 0700), 0);
    fake_open(&wc, "hop0");
}

/* The child has none of our descriptors, and ends with us. */
pid_t fork(void)
{
    static const struct timeval soon = {.tv_usec = SECOND_STARTS_MS * 1000};
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        syscall(SYS_close_range, 0, ~0U, 0);
        for (;;)
            syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
    }
    struct fake_hole hole = wc.hole;
    fake_free(&wc);
    wc = (struct fake_wpa){.base = base, .group = "", .hole = hole};
    snprintf(wc.dir, sizeof(wc.dir), "%.50sb/hop0.wpa", run_dir);
    assert_int_equal(event_base_once(base, -1, EV_TIMEOUT, second_starts, NULL, &soon), 0);
    return pid;
}

/* Nobody waits for one that was not killed; how long that takes the kernel is no matter. */
pid_t waitpid(pid_t pid, int *status, int options SH_UNUSED)
{
    return (pid_t)syscall(SYS_wait4, pid, status, 0, NULL);
}

#endif
