*** Comments ***
The self-test of model on nucleo-l4r5zi passes, and touches nothing outside the board's memories and console.
Run it with: renode-test --test-timeout 600 model.robot

*** Settings ***
Library           OperatingSystem

*** Variables ***
${ELF}            ${CURDIR}/model.elf
# virtual seconds
${TIMEOUT}        120

*** Test Cases ***
model equals its reference on nucleo-l4r5zi
    File Should Exist         ${ELF}    msg=There is no ${ELF}: build with `tinygen build --self-test 1`, or give --variable ELF:path.
    Execute Command           mach create "model"
    Execute Command           machine LoadPlatformDescription "${CURDIR}/nucleo-l4r5zi.repl"
    Execute Command           sysbus LoadELF "${ELF}"
    Create Log Tester         0
    Create Terminal Tester    sysbus.lpuart1    timeout=${TIMEOUT}
    Start Emulation
    ${result}=                Wait For Result
    Should Not Be In Log      non existing peripheral
    Should Be Equal           ${result}    TINYGEN PASS model inputs=1 layers=14

*** Keywords ***
Wait For Result
    [Documentation]    Shows every line of the self-test and returns the last.
    WHILE    True    limit=10000
        ${line}=    Wait For Line On Uart    TINYGEN (DIFFER|CYCLES|PASS|FAIL) .*    treatAsRegex=true
        Log To Console    ${line.Line.strip()}
        IF    $line.Groups[0] in ('PASS', 'FAIL')    RETURN    ${line.Line.strip()}
    END
