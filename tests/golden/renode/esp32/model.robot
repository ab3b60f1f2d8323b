*** Comments ***
The self-test of model on esp32 passes, and touches nothing outside the board's memories and console.
Run it from a folder whose path has no spaces, where reports are written; quote the path of this file, which may have some:
renode-test --test-timeout 600 "path/to/model.robot"

*** Settings ***
Library           OperatingSystem

*** Variables ***
${ELF}            ${CURDIR}/model.elf
# virtual seconds
${TIMEOUT}        120

*** Test Cases ***
model equals its reference on esp32
    Load Board                "${CURDIR}/esp32.repl"    sysbus.uart0    ${ELF}
    ${result}=                Wait For Result
    Should Not Be In Log      non existing peripheral
    Should Be Equal           ${result}    TINYGEN PASS model inputs=1 layers=14

*** Keywords ***
Load Board
    [Documentation]    A machine of its own, with the firmware and the commands that the board needs, and starts it.
    [Arguments]    ${platform}    ${uart}    ${firmware}    @{commands}
    File Should Exist         ${firmware}    msg=There is no ${firmware}: build with `tinygen build --self-test 1`, or give --variable ELF:path.
    Execute Command           mach create "board"
    Execute Command           machine LoadPlatformDescription ${platform}
    Execute Command           sysbus LoadELF "${firmware}"
    FOR    ${command}    IN    @{commands}
        Execute Command       ${command}
    END
    Create Log Tester         0
    Create Terminal Tester    ${uart}    timeout=${TIMEOUT}    defaultPauseEmulation=true
    Start Emulation

Wait For Result
    [Documentation]    Shows every line of the self-test and returns the last.
    WHILE    True    limit=10000
        ${line}=    Wait For Line On Uart    TINYGEN (DIFFER|MODEL|CYCLES|PASS|FAIL) .*    treatAsRegex=true
        Log To Console    ${line.Line.strip()}
        IF    $line.Groups[0] in ('PASS', 'FAIL')    RETURN    ${line.Line.strip()}
    END
