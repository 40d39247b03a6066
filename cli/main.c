/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program: finds the verb, parses its options, runs it; the cause's category is the exit status. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output_form.h"
#include "cli/verb.h"
#include "proto/log.h"

static const struct sh_verb *const verbs[] = {
    &sh_verb_share,  &sh_verb_sync,      &sh_verb_resume,    &sh_verb_bundle, &sh_verb_devices,
    &sh_verb_doctor, &sh_verb_proximity, &sh_verb_calibrate, &sh_verb_report, &sh_verb_replay,
};

static const struct sh_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < SH_COUNT(verbs); i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    }
    return NULL;
}

static void help(FILE *file)
{
    fprintf(file,
            "simhop %s: takes over a line's settings from a device beside this one.\n\n"
            "Usage: simhop VERB [options]\n\nVerbs:\n",
            SIMHOP_VERSION);
    for (size_t i = 0; i < SH_COUNT(verbs); i++)
        fprintf(file, "  %-9s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(file,
            "\n`simhop VERB --help` lists a verb's options; `simhop --version` says the version.\n"
            "On the device that has the lines:      simhop share --bundle FILE\n"
            "On the device that shall have them:    simhop sync\n\n"
            "Exit status: 0 done, 2 usage, 3 not near, 4 refused or wrong code, 5 no link worked,\n"
            "6 broken or refused data, 7 not installed, 8 environment, 9 interrupted,\n"
            "10 not linked or revoked.\n");
}

static void verb_help(const struct sh_verb *verb)
{
    printf("Usage: simhop %s %s\n\n%s.\n", verb->name, verb->usage, verb->summary);
    if (verb->text && *verb->text)
        printf("\n%s%s", verb->text, verb->text[strlen(verb->text) - 1] == '\n' ? "" : "\n");
    sh_options_help(verb->options);
}

/* Is this flag among the words before "--"? Asked before parsing, so that it counts even where the rest is wrong. */
static bool has_flag(int argc, char **argv, const char *name, const char *letter)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], name) == 0 || (letter && strcmp(argv[i], letter) == 0))
            return true;
    }
    return false;
}

static int fail(struct sh_output *out, enum sh_cause cause)
{
    if (cause != SH_OK && !sh_output_cause_was_said(out))
        sh_output_cause(out, cause);
    return (int)sh_cause_info(cause)->category;
}

static void log_line(const char *line, void *user)
{
    sh_output_log(user, line);
}

/* What was to be told did not all leave, and who asked takes the rest for all of it. A reader that has gone does not. */
static int left(struct sh_output *out, int status)
{
    struct stat st;
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    bool gone = fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
    if (!lost || gone || status != 0)
        return status;
    return fail(out, sh_fail(SH_STORE_IO_ERROR, "standard output"));
}

/* argv[0] is the verb's name. */
static int run(const struct sh_verb *verb, int argc, char **argv, struct sh_output *out)
{
    int count = 0;
    struct sh_common *values = calloc(1, verb->values_size);
    if (!values)
        return fail(out, SH_ENV_NO_MEMORY);
    enum sh_cause cause = sh_options_parse(verb->options, argc, argv, values, &count);
    if (cause == SH_OK) {
        if (values->verbose)
            sh_log_set(log_line, out);
        cause = verb->run(values, out, count, argv + 1);
        sh_log_set(NULL, NULL);
    }
    int status = fail(out, cause);
    sh_options_clear(verb->options, values);
    free(values);
    return status;
}

/* Descriptors 0 to 2 must be taken: else the first file that is opened becomes standard output. Nothing that is left in a
 * core file or readable by others, no death by a closed pipe. */
static bool prepare_process(void)
{
    int fd = -1;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return false;
    close(fd);
    umask(077);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    /* Whoever started us may have children reaped by the kernel, and then a hook's exit status is lost. */
    return signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGCHLD, SIG_DFL) != SIG_ERR;
}

int main(int argc, char **argv)
{
    if (!prepare_process())
        return SH_CAT_ENVIRONMENT;
    if (argc < 2) {
        help(stderr);
        return SH_CAT_USAGE;
    }
    if (has_flag(SH_MIN(argc, 3), argv, "--version", NULL)) {
        printf("simhop %s\n", SIMHOP_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return 0;
    }
    const struct sh_verb *verb = find_verb(argv[1]);
    if (verb && has_flag(argc - 1, argv + 1, "--help", "-h")) {
        verb_help(verb);
        return 0;
    }
    struct sh_output *out = sh_output_new(has_flag(argc, argv, "--json", NULL));
    if (!out)
        return SH_CAT_ENVIRONMENT;
    int status =
        verb ? run(verb, argc - 1, argv + 1, out)
             : fail(out, sh_fail(SH_USAGE_BAD_OPTION,
                                 "%s: there is no such verb; see `simhop --help`", argv[1]));
    status = left(out, status);
    sh_output_free(out);
    return status;
}
