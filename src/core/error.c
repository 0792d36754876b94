/*
 * core/error.c: the calling thread's last error, kept in a fixed thread-local buffer so that
 * reporting a failure needs no memory.
 */
#include <minnow/core.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 512 };

static _Thread_local mn_error last_error;
static _Thread_local char last_message[MESSAGE_SIZE];

const char *mn_error_name(mn_error code)
{
    switch (code) {
    case MN_OK:
        return "no error";
    case MN_ERR_ARGUMENT:
        return "argument error";
    case MN_ERR_SHAPE:
        return "shape error";
    case MN_ERR_DTYPE:
        return "dtype error";
    case MN_ERR_MEMORY:
        return "memory error";
    case MN_ERR_STATE:
        return "state error";
    case MN_ERR_IO:
        return "input/output error";
    case MN_ERR_FORMAT:
        return "format error";
    }
    return "unknown error";
}

mn_error mn_last_error(void)
{
    return last_error;
}

const char *mn_last_message(void)
{
    return last_message;
}

void mn_clear_last_error(void)
{
    last_error = MN_OK;
    last_message[0] = '\0';
}

mn_error mn_fail(mn_error code, const char *format, ...)
{
    /* An argument may be the last message itself, so the text is made beside it. */
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = '\0';
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';

    last_error = code;
    memcpy(last_message, text, sizeof text);
    return code;
}
