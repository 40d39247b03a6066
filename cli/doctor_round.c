/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The round of all checks, with its limit. */
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/doctor.h"

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

static void run_checks(struct sh_doctor *doctor, const struct sh_check *checks, sh_doctor_say found,
                       void *user)
{
    for (; checks->name; checks++) {
        now_at = checks->name;
        sh_detail_clear();
        struct sh_finding f = checks->run(doctor);
        if (f.level != SH_LEVELS)
            found(checks->name, &f, user);
    }
}

static void check_device(struct sh_doctor *doctor, sh_doctor_say found, void *user)
{
    const char *radio = doctor->common.radio;
    bool sim = radio && strcmp(radio, "bluez") != 0;
    run_checks(doctor, sh_doctor_state_checks, found, user);
    run_checks(doctor, sim ? sh_doctor_sim_checks : sh_doctor_bluetooth_checks, found, user);
    if (!sim && sh_doctor_wants_wifi(doctor))
        run_checks(doctor, sh_doctor_wifi_checks, found, user);
    run_checks(doctor, sh_doctor_lan_checks, found, user);
    run_checks(doctor, sh_doctor_machine_checks, found, user);
}

static void check_peers(struct sh_doctor *doctor, sh_doctor_say found, void *user)
{
    run_checks(doctor, sh_doctor_lan_checks, found, user);
    now_at = "peer";
    sh_doctor_peers(doctor, found, user);
}

enum sh_cause sh_doctor_round(struct sh_doctor *doctor, sh_doctor_say found, void *user)
{
    const char *radio = doctor->common.radio;
    if (radio && strncmp(radio, "sim:", 4) != 0 && strcmp(radio, "bluez") != 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "--radio %s: bluez or sim:DIR", radio);
    set_limit(doctor->peer ? SH_DOCTOR_PEER_MS : SH_DOCTOR_MS);
    if (doctor->peer)
        check_peers(doctor, found, user);
    else
        check_device(doctor, found, user);
    set_limit(0);
    sh_doctor_bus_clear(&doctor->bus);
    return SH_OK;
}
